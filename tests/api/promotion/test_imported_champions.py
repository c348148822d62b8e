"""An imported champion is replaced only once the contract says whether it counts; no imported run is promoted."""

from typing import Any

import pytest

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.admin import retention
from mltrail_server.store import schema
from tests.api.imported import FROM, ON, import_run, import_version, mark
from tests.api.promotion.promoting import aliases, by_hand, promote
from tests.api.trail import SHAS, Trail
from tests.mlflow_client import Mlflow

CONTRACT = "version: 1\nmodels: {churn: {promote: {from: [default], reuse_reviewed: true}%s}}\n"
ASKS = (
    f"champion is 3.2.0, which was imported from {FROM} {ON}, and nobody has said whether it counts. To hold "
    "promotions to its level, write `imported: {champion: true}` below `models: churn:` in `.mltrail.yml`; to start "
    "anew, write `false` there"
)


def champion(trail: Trail, value: float, **more: Any) -> str:
    run_id = import_run(trail, value, **more)
    import_version(trail, run_id)
    return run_id


def after(trail: Trail, key: str, value: float) -> Any:
    """Promote what the default branch has trained."""
    pipeline = trail.main(SHAS["b"], CONTRACT % (f", imported: {{{key}}}" if key else ""))
    trail.train(pipeline, [value])
    (done,) = promote(trail, pipeline)
    return done


def test_it_is_not_replaced_until_somebody_has_decided(trail: Trail) -> None:
    champion(trail, 0.90)
    done = after(trail, "baseline: true", 0.95)
    assert (done["state"], done["reason"]) == ("refused", ASKS)
    assert done["comparison"]["imported"] == f"imported from {FROM} {ON}, not verified"
    assert aliases(trail) == {"champion": "1"}


@pytest.mark.parametrize(
    ("key", "value", "state", "standing"),
    [
        ("champion: true", 0.91, "promoted", ["can't tell yet"]),
        ("champion: true", 0.50, "refused", ["worse"]),
        ("champion: false", 0.50, "promoted", []),
    ],
)
def test_then_it_is_the_floor_or_nothing(trail: Trail, key: str, value: float, state: str, standing: list[str]) -> None:
    champion(trail, 0.90)
    done = after(trail, key, value)
    assert (done["state"], [one["standing"] for one in done["comparison"]["metrics"]]) == (state, standing)
    if state == "promoted":
        assert (done["version"], done["replaces"], aliases(trail)) == ("3.3.0", "3.2.0", {"champion": "2"})


def test_without_a_contract_it_asks_too_and_the_line_works(trail: Trail) -> None:
    champion(trail, 0.90)
    first = trail.main(SHAS["b"])
    trail.train(first, [0.91])
    (done,) = promote(trail, first)
    line = done["reason"].partition("with `version: 1` and `")[2].partition("`")[0]
    second = trail.main(SHAS["d"], f"version: 1\n{line}\n")
    trail.train(second, [0.91])
    assert promote(trail, second)[0]["state"] == "promoted"


def test_one_whose_run_did_not_come_over_is_unknown(trail: Trail) -> None:
    champion(trail, 0.90)
    mark(trail.deps, schema.model_version, {"number": 1}, candidate_iid=None)
    done = after(trail, "champion: true", 0.10)
    assert (done["state"], done["comparison"]["why_not"]) == (
        "promoted",
        "no metric of the version that it replaces is known",
    )


def test_an_imported_run_that_somebody_registers_here_is_no_better(trail: Trail) -> None:
    champion(trail, 0.90)
    mark(trail.deps, schema.model_version, {"number": 1})
    with trail.deps.db.write() as connection:
        connection.exec_driver_sql("UPDATE model_version SET origin_id = NULL")
    assert after(trail, "", 0.95)["reason"] == ASKS


def test_the_comment_says_so_before_the_merge(trail: Trail) -> None:
    champion(trail, 0.90)
    trail.main(SHAS["b"], CONTRACT % "")
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.95])
    trail.report(pipeline)
    (note,) = trail.notes(request)
    assert "**On merge:** `churn` is not promoted as it is: `champion` is 3.2.0, which was imported from" in note
    trail.main(SHAS["d"], CONTRACT % ", imported: {champion: true}")
    trail.clock.advance(120_000)
    trail.report(pipeline)
    (note,) = trail.notes(request)
    assert "`churn` 3.3.0 replaces 3.2.0 as `champion`" in note
    assert f"3.2.0 was imported from `MLflow 2.22.1` at `https://mlflow.example.com` {ON}, and is not verified." in note


@pytest.mark.parametrize("claims", [True, False])
def test_an_imported_run_is_never_promoted(trail: Trail, claims: bool) -> None:
    pipeline = trail.main(SHAS["b"], CONTRACT % ", imported: {baseline: true, champion: true}")
    job = trail.train(pipeline, [], experiment="other")
    run_id = import_run(trail, 0.99, tags={"gitlab.CI_JOB_ID": str(job.id)} if claims else {})
    path = f"api/2.0/mlflow-artifacts/artifacts/2/{run_id}/artifacts/model/MLmodel"
    trail.person("maintainer").call("PUT", path, data=b"flavors: {}")
    assert "without a job's token" in by_hand(trail, status=403, candidate=1)
    assert all(one["state"] != "promoted" for one in promote(trail, pipeline))
    version = trail.person("maintainer")
    version.post("registered-models/create", name="churn")
    version.post("model-versions/create", name="churn", source=f"runs:/{run_id}/model", run_id=run_id)
    fields = {"name": "churn", "alias": "champion", "version": "1"}
    answer = version.call("POST", "api/2.0/mlflow/registered-models/alias", json=fields)
    assert (answer.status_code, aliases(trail)) == (400, {})


def test_its_files_are_not_those_of_a_loser(trail: Trail) -> None:
    pipeline = trail.main(SHAS["b"], CONTRACT % ", keep: {losers: 1h}, imported: {champion: true}")
    job = trail.train(pipeline, [0.5, 0.9])
    run_id = import_run(trail, 0.1, tags={"gitlab.CI_JOB_ID": str(job.id)})
    path = f"api/2.0/mlflow-artifacts/artifacts/1/{run_id}/artifacts/model/MLmodel"
    trail.person("maintainer").call("PUT", path, data=b"flavors: {}")
    trail.clock.advance(1000)
    promote(trail, pipeline)
    newer = trail.main(SHAS["e"])
    trail.train(newer, [0.9])
    trail.report(newer)
    trail.clock.advance(2 * 60 * 60_000)
    assert [one.iid for one in retention.apply(trail.deps, ProjectId(42))] == [1]


def test_the_mark_of_a_version_cannot_be_forged(trail: Trail) -> None:
    maintainer = trail.person("maintainer")
    maintainer.post("registered-models/create", name="churn")
    forged = {"key": "mltrail.imported_from", "value": "MLflow"}
    made = maintainer.post("model-versions/create", name="churn", source="s3://bucket/x", tags=[forged])
    assert forged["key"] not in {one["key"] for one in made["model_version"].get("tags", ())}
    fields = {"name": "churn", "version": "1", **forged}
    assert maintainer.call("POST", "api/2.0/mlflow/model-versions/set-tag", json=fields).status_code == 400


def test_the_alias_does_not_come_back_to_it_by_hand(trail: Trail) -> None:
    champion(trail, 0.90)
    after(trail, "champion: true", 0.91)
    maintainer: Mlflow = trail.person("maintainer")
    fields = {"name": "churn", "alias": "champion", "version": "1"}
    answer = maintainer.call("POST", "api/2.0/mlflow/registered-models/alias", json=fields)
    assert "churn 3.2.0 was imported and never promoted, so it can't become" in answer.get_json()["message"]
    assert aliases(trail) == {"champion": "2"}
