"""What pages ask of every project, or of every run, is found by an index."""

from mltrail_server.domain.candidate import Status
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store.pages import datasets, home

BACKENDS = ("sqlite",)  # the plans below are SQLite's


def test_the_running_runs_of_some_projects_are_found_without_those_that_ended(scope: Scope, plans: list[str]) -> None:
    experiments.create(scope, name="one")
    names = ("first", "second", "third")
    made = [
        candidates.create(scope, experiment_iid=1, name=name, started_ms=number).candidate
        for number, name in enumerate(names)
    ]
    candidates.update(scope, made[1].eid, status=Status.FINISHED, ended_ms=9)
    plans.clear()
    with scope.deps.db.read() as connection:
        found = home.running(connection, [ProjectId(1), ProjectId(2)], limit=5)
    assert [one.name for one in found] == ["third", "first"]
    assert "SEARCH candidate USING INDEX ix_candidate_running (project_id=? AND stage=?)" in plans


def test_the_runs_that_used_a_dataset_are_found_without_those_that_used_others(scope: Scope, plans: list[str]) -> None:
    with scope.project.read() as tx:
        assert datasets.runs(tx, [1, 2], limit=5) == []
        assert datasets.first_runs(tx, [1, 2]) == {}
    walks = "candidate_dataset USING COVERING INDEX ix_candidate_dataset_dataset (project_id=? AND dataset_id=?)"
    assert plans.count(f"SEARCH {walks}") == 2
