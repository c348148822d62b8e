"""What a report reads is found by an index, whatever else the project holds."""

from collections.abc import Callable

import pytest
from sqlalchemy import event

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.direction import Better
from mltrail_server.domain.filters import parse
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import child_pipelines, jobs, publications
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables
from mltrail_server.store.review import evaluations, pipeline_runs, tombstones
from mltrail_server.store.review import jobs as jobs_store
from mltrail_server.store.tracking import candidates, evidence

BACKENDS = ("sqlite",)  # the plans below are SQLite's
PROJECT = ProjectId(1)
READS: dict[str, Callable[[Transaction], object]] = {
    "the branch": lambda one: pipeline_runs.of_branch(one, "main", before=99, limit=30),
    "commits": lambda one: pipeline_runs.of_branch(one, "main", before=99, limit=30, shas=["a", "b"]),
    "jobs": lambda one: pipeline_runs.tied_in(one, [1, 2, 3]),
    "jobs of one": lambda one: jobs.tied_in(one, 1),
    "candidates": lambda one: pipeline_runs.candidates(one, [1, 2, 3], stages=tuple(Stage)),
    "tags": lambda one: pipeline_runs.own_tags(one, [1, 2, 3], {"a", "b"}),
    "tags of snapshots": lambda one: pipeline_runs.own_tags(one, [1], {"a", "b"}, snapshots=[8, 9]),
    "what is gone": lambda one: tombstones.of_pipelines(one, [1, 2, 3]),
    "who removed it": lambda one: tombstones.of_candidate(one, 7),
    "who has written": lambda one: evidence.amendments(one, 7),
    "who has what beside": lambda one: candidates.amended_of(one, ["a", "b"]),
    "what protects": lambda one: jobs.any_protected_in(one, 7),
    "laptops": lambda one: pipeline_runs.without_job(one, ["a" * 40, "b" * 40], limit=20),
    "datasets": lambda one: pipeline_runs.datasets(one, [1, 2, 3]),
    "files": lambda one: pipeline_runs.files_at(one, ["a", "b"]),
    "the best values": lambda one: tables.best_values(
        one,
        1,
        [Stage.ACTIVE],
        parse("params.a = '1'"),
        wanted={"a": Better.HIGHER},
        small=True,
    ),
    "report jobs": lambda one: jobs_store.of_pipeline(one, 7, ["report"]),
    "earlier report jobs": lambda one: jobs_store.names_before(one, 7, iid=1, target="main"),
    "children": lambda one: child_pipelines.children(one, 7),
    "children that train": lambda one: child_pipelines.unsettled(one, [7, 8], ended=["success"]),
    "what was refused": lambda one: publications.refusals_of_request(one, 7),
    "refused issues": publications.refused_issues,
    "how many traces": lambda one: evaluations.linked(one, [1, 2, 3]),
    "traces": lambda one: evaluations.traces(one, [1, 2, 3]),
    "tags of traces": lambda one: evaluations.tags(one, [1, 2, 3], ["a", "b"]),
    "metadata of traces": lambda one: evaluations.metadata(one, [1, 2, 3], ["a", "b"]),
    "assessments": lambda one: evaluations.assessments(one, [1, 2, 3], limit=9),
    "whose tokens": lambda one: evaluations.own_jobs(one, [1, 2, 3]),
    "names of datasets": lambda one: evaluations.dataset_names(one, [1, 2, 3]),
    "a candidate's pipeline": lambda one: pipeline_runs.pipeline_of(one, 7),
}


@pytest.mark.parametrize("name", READS)
def test_no_read_walks_over_the_project(deps: Deps, name: str) -> None:
    sent: list[tuple[str, object]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: object, *_rest: object) -> None:
        sent.append((statement, parameters))

    with deps.project(PROJECT).read() as tx:
        event.listen(deps.db.engine, "before_cursor_execute", note)
        READS[name](tx)
        event.remove(deps.db.engine, "before_cursor_execute", note)
        plans = [
            row[3]
            for statement, parameters in sent
            for row in tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)  # type: ignore[arg-type]
        ]
    assert plans
    assert [step for step in plans if "SCAN" in step or step.endswith("(project_id=?)")] == []
