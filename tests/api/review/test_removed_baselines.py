"""A baseline that somebody has removed for good is unknown, and says who removed it; it is never new."""

import pytest

from tests.api.review.judged_request import JudgedRequest
from tests.api.review.merge_requests import RULE, a_main, a_request, contract
from tests.api.review.removal import purge
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import FILES


@pytest.mark.every_case
@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("iids", [[1, 2, 3], [3]])
def test_the_verdict_is_unknown_and_says_who_removed_it(trail: Trail, iids: list[int], *, links: bool) -> None:
    a_main(trail, SHAS["b"], contract(RULE, if_unknown="fail"), [0.80, 0.81, 0.82])
    request, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    assert trail.report(pipeline)["gate"]["outcome"] == "fail"
    purge(trail, iids, by="mallory`@all <b>", links=links)
    report = trail.report(pipeline)
    (model,) = report["models"]
    assert report["gate"]["outcome"] == "fail"
    sentence = "the baseline was removed by malloryall b on 2026-09-21"
    assert model["verdict"]["level"] == "unknown"
    assert sentence in model["verdict"]["sentence"]
    assert [(one["outcome"], one["sentence"], one["known"]) for one in model["rules"]] == [("fail", sentence, False)]
    (note,) = trail.notes(request)
    assert sentence in note
    assert "no baseline yet" not in note


def test_a_newer_baseline_takes_its_place(trail: Trail) -> None:
    a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    purge(trail, [1, 2, 3], links=True)
    a_main(trail, SHAS["d"], contract(RULE), [0.70, 0.71, 0.72])
    _, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    assert trail.report(pipeline)["gate"]["sentence"] == "gate failed: 1 rule broken"


def test_what_had_failed_leaves_no_gap(trail: Trail) -> None:
    main = a_main(trail, SHAS["b"], contract(RULE), [0.80, 0.81, 0.82])
    trail.train(main, [0.1], status="failed", job_name="other")
    trail.report(main)
    purge(trail, [4], links=True)
    _, pipeline = a_request(trail, [0.50, 0.51, 0.52])
    assert trail.report(pipeline)["gate"]["sentence"] == "gate failed: 1 rule broken"


def test_the_text_next_to_it_goes_with_it(trail: Trail) -> None:
    world = JudgedRequest(trail, protected=False)
    person = world.trail.person("developer")
    person.post("runs/log-metric", run_id=world.targets[0], key="laptop", value=1, timestamp=1)
    person.call("PUT", f"{FILES}/1/{world.targets[0]}/artifacts/laptop.txt", data=b"x")
    purge(trail, [1, 2, 3], links=True)
    with trail.deps.db.read() as connection:
        left = connection.exec_driver_sql("SELECT count(*) FROM file WHERE path LIKE 'beside/%%'").scalar_one()
        points = connection.exec_driver_sql(
            "SELECT count(*) FROM metric m LEFT JOIN candidate c ON c.iid = m.candidate_iid WHERE c.iid IS NULL"
        ).scalar_one()
    assert (left, points) == (0, 0)
