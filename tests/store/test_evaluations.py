"""What a report reads of evaluations: as much as it has to, in as many statements for two cases as for five hundred."""

import math
from dataclasses import replace

import pytest
import sqlalchemy as sa

from mltrail_contract import Evaluation, Model
from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.cases.evaluate import TESTS
from mltrail_server.domain.comparison import compare
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.traces import TraceState
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import trace_metrics
from mltrail_server.services.review.cases import answers
from mltrail_server.services.review.cases.evaluations import Asked, Evaluated, Evaluations
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from tests.statements import statements_of

PROJECT = ProjectId(1)
SCORERS = ("correct", "grounded", "relevance")
RUNS = {iid: Run(iid, "run", RunState.SUCCEEDED, {}, {"loss": 1.0}, eid=f"run{iid}") for iid in (1, 2)}
MODEL = Model("answers", evaluations={"golden": Evaluation("golden", "*")})


def fill(tx: Transaction, cases: int, *, runs: tuple[int, ...] = (1, 2)) -> None:
    """Store runs' traces, each judged by three scorers, without the calls that clients make."""
    owner = {"project_id": PROJECT}
    traces, links, tags, said = [], [], [], []
    for iid in runs:
        for case in range(cases):
            trace_id = f"tr-{iid}-{case:05}"
            of_trace = {**owner, "trace_id": trace_id}
            traces.append(
                {
                    **owner,
                    "id": trace_id,
                    "experiment_iid": 1,
                    "state": int(TraceState.OK),
                    "started_ms": case,
                    "duration_ms": 100 + case,
                    "inputs_digest": f"{case:016x}{48 * '0'}",
                    "user_name": "root",
                    "created_ms": 0,
                }
            )
            links.append({**of_trace, "candidate_iid": iid, "own": True})
            tags.append({**of_trace, "key": answers.REQUEST_TAG, "value": f"{case:016x}{48 * '0'}"})
            said += [
                {
                    **of_trace,
                    "id": f"a-{iid}-{case}-{scorer}",
                    "name": scorer,
                    "kind": int(Kind.FEEDBACK),
                    "value": "0.5" if scorer == "relevance" else str(case % 20 > 0).lower(),
                    "source_type": "CODE",
                    "source_id": scorer,
                    "valid": True,
                    "run_eid": f"run{iid}",
                    "user_name": "root",
                    "created_ms": 1,
                    "updated_ms": 1,
                }
                for scorer in SCORERS
            ]
    for table, rows in ((schema.trace, traces), (schema.candidate_trace, links), (schema.trace_tag, tags)):
        tx.connection.execute(sa.insert(table), rows)
    tx.connection.execute(sa.insert(schema.assessment), said)


def asked() -> dict[str, Asked]:
    here, there = [RUNS[2]], [RUNS[1]]
    return {"answers": Asked(MODEL, compare(here, there), here, there)}


def of(deps: Deps, found: Evaluations) -> Evaluated:
    with deps.project(PROJECT).read() as tx:
        return found.of(tx, asked()).get("answers", Evaluated())


@pytest.fixture(autouse=True)
def an_experiment(deps: Deps) -> None:
    with deps.project(PROJECT).write() as tx:
        of_project = {"project_id": PROJECT, "iid": 1, "name": "answers", "stage": 0}
        tx.connection.execute(sa.insert(schema.experiment).values(**of_project, created_ms=0, updated_ms=0))


@pytest.mark.parametrize("cases", [2, 300])
def test_five_hundred_cases_take_as_many_statements_as_two(deps: Deps, cases: int) -> None:
    with deps.project(PROJECT).write() as tx:
        fill(tx, cases)
    found = Evaluations()
    with statements_of(deps) as first:
        assert of(deps, found) == Evaluated()
    assert len(first) == 6
    assert found.compare_wanted()
    with statements_of(deps) as second:
        (evaluation,) = of(deps, found).evaluations
    assert len(second) == 2  # what was read is not read again
    assert not found.compare_wanted()
    assert [one.name for one in evaluation.scorers] == [*SCORERS]
    assert len(evaluation.cases) == cases
    assert all(one.result.compared is not None for one in evaluation.scorers)


def test_without_traces_one_statement_is_enough(deps: Deps) -> None:
    with statements_of(deps) as seen:
        assert of(deps, Evaluations()).evaluations == ()
    assert len(seen) == 1
    with statements_of(deps) as seen, deps.project(PROJECT).read() as tx:
        assert trace_metrics.of(tx, list(RUNS.values())) == {}
    assert len(seen) == 1


def test_latency_is_that_of_the_traces(deps: Deps) -> None:
    with deps.project(PROJECT).write() as tx:
        fill(tx, 101)
    with deps.project(PROJECT).read() as tx:
        found = trace_metrics.of(tx, list(RUNS.values()))
    assert found == {iid: {"traces/latency_p50_ms": 150.0, "traces/latency_p95_ms": 195.0} for iid in RUNS}


def test_what_more_traces_than_are_read_have_taken_is_unknown(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_metrics, "_MOST_TRACES", 5)
    with deps.project(PROJECT).write() as tx:
        fill(tx, 1, runs=(1,))
        fill(tx, 6, runs=(2,))
    for runs in ((1, 2), (2,)):
        with deps.project(PROJECT).read() as tx:
            found = trace_metrics.of(tx, [RUNS[iid] for iid in runs])
        assert found.keys() == {*runs}
        assert math.isnan(found[2]["traces/latency_p50_ms"])


def test_a_run_with_too_many_traces_says_so(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_TRACES", 5)
    with deps.project(PROJECT).write() as tx:
        fill(tx, 5, runs=(1,))
        fill(tx, 6, runs=(2,))
    found = Evaluations()
    of(deps, found)
    found.compare_wanted()
    (evaluation,) = of(deps, found).evaluations
    assert (evaluation.problem, evaluation.ours) == (answers.TOO_MANY, True)


def test_what_other_jobs_and_people_have_written_is_not_read_as_evidence(deps: Deps) -> None:
    """Two jobs' tokens vouch for the run; the second came after it had ended, and only a snapshot leaves it out."""
    with deps.project(PROJECT).write() as tx:
        fill(tx, 1, runs=(2,))
        link = {"project_id": PROJECT, "candidate_iid": 2, "pipeline_id": 9, "part": 0, "verified": True}
        tx.connection.execute(sa.insert(schema.candidate_job), [{**link, "job_id": 7, "late": False}])
        tx.connection.execute(sa.insert(schema.candidate_job), [{**link, "job_id": 8, "late": True}])
        linked_by = sa.update(schema.candidate_trace).where(schema.candidate_trace.c.project_id == PROJECT)
        tx.connection.execute(linked_by.values(job_id=7))
        known = schema.assessment.c
        for scorer, job_id in (("correct", 7), ("grounded", 8)):
            of_scorer = sa.update(schema.assessment).where(known.project_id == PROJECT, known.name == scorer)
            tx.connection.execute(of_scorer.values(job_id=job_id))
    heard = {}
    for run in (RUNS[2], replace(RUNS[2], snapshot_iid=5)):
        with deps.project(PROJECT).read() as tx:
            linked = answers.evaluations.linked(tx, [2])
            heard[run.snapshot_iid] = answers.read(tx, [run], linked, {2: TESTS})[2].scorers
    assert heard == {None: {"correct", "grounded"}, 5: {"correct"}}
