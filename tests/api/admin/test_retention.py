"""Files of candidates that lost go after a while; what anything rests on stays."""

from dataclasses import replace
from typing import Any

import pytest

from mltrail_server.services.admin import garbage
from mltrail_server.settings import Settings
from tests.api.promotion.promoting import promote
from tests.api.trail import SHAS, Trail
from tests.clock import DAY
from tests.mlflow_client import good


@pytest.fixture
def gitlab_settings(gitlab_settings: Settings) -> Settings:
    """Of a server whose operator wants losers' files to go."""
    return replace(gitlab_settings, keep_losers="30d")


def left(trail: Trail) -> dict[str, bool]:
    """Return for each run whether it still has its model."""
    person = trail.person("guest")
    found: dict[str, bool] = {}
    for run in trail.runs():
        listed = person.get("artifacts/list", run_id=run["info"]["run_id"]).get("files", [])
        found[run["info"]["run_name"]] = bool(listed)
    return found


def collect(trail: Trail, **options: Any) -> list[str]:
    return [one.name for one in garbage.collect(trail.deps, **options).losers]


def test_losers_go_after_thirty_days_and_keep_what_they_logged(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8, 0.9], run_name="first")
    trail.clock.advance(1000)
    promote(trail, first)
    # The newest pipeline of the default branch is a baseline; the first one's losers are of no use any more.
    newer = trail.main(SHAS["d"])
    trail.train(newer, [0.7], run_name="newer", lr="2")
    trail.clock.advance(1000)
    promote(trail, newer)
    assert collect(trail) == []
    trail.clock.advance(31 * DAY)
    assert collect(trail, dry_run=True) == ["first-0"]
    assert left(trail) == {"first-0": True, "first-1": True, "newer-0": True}
    assert collect(trail) == ["first-0"]
    assert left(trail) == {"first-0": False, "first-1": True, "newer-0": True}
    (loser,) = (run for run in trail.runs() if run["info"]["run_name"] == "first-0")
    assert loser["data"]["metrics"][0]["value"] == 0.8
    assert {"key": "mltrail.files", "value": "removed: another candidate was promoted"} in loser["data"]["tags"]
    assert collect(trail) == []


def test_what_was_not_promoted_against_stays(trail: Trail) -> None:
    trail.train(trail.main(SHAS["b"]), [0.8])
    trail.clock.advance(400 * DAY)
    assert collect(trail) == []


def test_what_is_rested_on_stays(trail: Trail) -> None:
    developer = trail.person("developer")
    first = trail.main(SHAS["b"])
    trail.train(first, [0.7, 0.9], run_name="first")
    by_hand = next(run for run in trail.runs() if run["info"]["run_name"] == "first-0")["info"]["run_id"]
    request = trail.request(SHAS["c"])
    reviewed = trail.of_request(request, SHAS["c"])
    trail.train(reviewed, [0.8], run_name="in review")
    trail.report(reviewed)
    laptop = developer.post("runs/create", experiment_id="1", run_name="laptop")["run"]["info"]["run_id"]
    good(developer.call("PUT", f"api/2.0/mlflow-artifacts/artifacts/1/{laptop}/artifacts/a", data=b"x"))
    developer.post("runs/update", run_id=laptop, status="FINISHED")
    trail.clock.advance(1000)
    promote(trail, first)
    developer.post("model-versions/create", name="churn", source=f"runs:/{by_hand}/model", run_id=by_hand)
    newer = trail.main(SHAS["d"])
    trail.train(newer, [0.95], run_name="newer")
    trail.clock.advance(1000)
    promote(trail, newer)
    trail.clock.advance(100 * DAY)
    assert collect(trail) == []
    assert all(left(trail).values())


@pytest.mark.parametrize(("keep", "gone"), [("12h", ["first-0"]), ("90d", [])])
def test_the_contract_says_how_long(trail: Trail, keep: str, gone: list[str]) -> None:
    text = f"version: 1\nmodels: {{churn: {{promote: {{}}, keep: {{losers: {keep}}}}}}}"
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["b"], parents=("a1" * 20,), branch="main", files={".mltrail.yml": text})
    first = gitlab.add_pipeline(project, SHAS["b"], "main", "push")
    trail.train(first, [0.8, 0.9], run_name="first")
    trail.clock.advance(1000)
    promote(trail, first)
    newest = gitlab.add_pipeline(project, SHAS["b"], "main", "push")
    trail.train(newest, [0.7], run_name="newest")
    trail.report(newest)
    trail.clock.advance(40 * DAY)
    assert collect(trail) == gone


def test_deleting_a_baseline_does_not_move_it(trail: Trail) -> None:
    first = trail.main(SHAS["b"])
    trail.train(first, [0.9])
    trail.report(first)
    maintainer = trail.person("maintainer")
    run_id = trail.runs()[0]["info"]["run_id"]
    maintainer.post("runs/delete", run_id=run_id)
    maintainer.post("runs/restore", run_id=run_id)
    maintainer.post("runs/delete", run_id=run_id)
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.8])
    (model,) = trail.report(pipeline)["models"]
    assert model["baseline"]["sha"] == SHAS["b"]


def test_nor_does_deleting_its_experiment(trail: Trail) -> None:
    """The contract names several experiments; the one of the target branch was deleted since."""
    text = 'version: 1\nmodels: {churn: {runs: {experiment: "churn-*"}}}'
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["b"], parents=("a1" * 20,), branch="main", files={".mltrail.yml": text})
    first = gitlab.add_pipeline(project, SHAS["b"], "main", "push")
    trail.train(first, [0.9, 0.91], experiment="churn-1")
    trail.report(first)
    owner = trail.person("owner")
    owner.post("experiments/delete", experiment_id="1")
    trail.clock.advance(100 * DAY)
    assert collect(trail) == []
    request = trail.request(SHAS["c"])
    pipeline = trail.of_request(request, SHAS["c"])
    trail.train(pipeline, [0.8], experiment="churn-2")
    (model,) = trail.report(pipeline)["models"]
    assert (model["name"], model["baseline"]["sha"]) == ("churn", SHAS["b"])
    assert model["metrics"][0]["baseline"]["n"] == 2
    deleted = owner.post("runs/search", experiment_ids=["1"], run_view_type="DELETED_ONLY")["runs"]
    assert all(owner.get("artifacts/list", run_id=run["info"]["run_id"]).get("files") for run in deleted)


def test_nothing_goes_by_default(trail: Trail) -> None:
    assert Settings().keep_losers_ms is None
    first = trail.main(SHAS["b"])
    trail.train(first, [0.8, 0.9], run_name="first")
    trail.clock.advance(1000)
    promote(trail, first)
    newer = trail.main(SHAS["d"])
    trail.train(newer, [0.7], run_name="newer", lr="2")
    trail.clock.advance(1000)
    promote(trail, newer)
    trail.clock.advance(4000 * DAY)
    by_default = replace(trail.deps, settings=replace(trail.deps.settings, keep_losers=Settings().keep_losers))
    assert garbage.collect(by_default).losers == []
    assert all(left(trail).values())
