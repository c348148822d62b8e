"""What the traces of runs say, as far as it is evidence: what the run's own jobs logged, and nothing by others.

What somebody writes to a run's traces later changes nothing, and what somebody deletes is missing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.cases import marks
from mltrail_server.domain.cases.evaluate import RunAnswers
from mltrail_server.domain.cases.evaluation import CaseTrace, Mark
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.traces import TraceState
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import evaluations
from mltrail_server.store.review.evaluations import LONGEST_VALUE, AssessmentRow, JobRow, Linked, TraceRow

TEST_TAG = "mlflow.test.name"
"""The node id of the test that made a trace."""
REQUEST_TAG = "mlflow.eval.requestId"
"""What `mlflow.genai.evaluate` finds a trace again by: another random text each time, so it names no case."""

MOST_TRACES = 10_000
_MOST_TOGETHER = 50_000
_MOST_ASSESSMENTS = 300_000
_SHOWN = 16
_JUDGE = "LLM_JUDGE"

TOO_MANY = f"there are more than {MOST_TRACES:,} traces; evaluate fewer cases in one run"
NO_ROOM = "all models' evaluations together are too large; evaluate fewer cases"


def read(
    tx: Transaction, runs: Sequence[Run], linked: Mapping[int, Linked], names: Mapping[int, str]
) -> dict[int, RunAnswers]:
    """Read the answers of runs, the most important first: those that there is no room for get a problem. `names` are
    their evaluations'. Four statements.
    """
    found: dict[int, RunAnswers] = {}
    left, wanted = _MOST_TOGETHER, []
    for run in runs:
        count = linked[run.iid].traces
        if count <= min(left, MOST_TRACES):
            left -= count
            wanted.append(run)
        else:
            problem = TOO_MANY if count > MOST_TRACES else NO_ROOM
            found[run.iid] = RunAnswers(run.iid, run.eid, names[run.iid], problem=problem)
    iids = [run.iid for run in wanted]
    if not iids:
        return found
    said = _by_run(evaluations.assessments(tx, iids, limit=_MOST_ASSESSMENTS + 1))
    if sum(map(len, said.values())) > _MOST_ASSESSMENTS:
        return found | {run.iid: RunAnswers(run.iid, run.eid, names[run.iid], problem=NO_ROOM) for run in wanted}
    traces, jobs = _by_run(evaluations.traces(tx, iids)), _by_run(evaluations.own_jobs(tx, iids))
    tags: dict[int, dict[str, dict[str, str]]] = {}
    for text in evaluations.tags(tx, iids, [TEST_TAG, REQUEST_TAG]):
        tags.setdefault(text.candidate_iid, {}).setdefault(text.trace_id, {})[text.key] = text.value
    for run in wanted:
        making = _Making(run, jobs.get(run.iid, ()), tags.get(run.iid, {}))
        making.hear(said.get(run.iid, ()))
        found[run.iid] = making.answers(names[run.iid], traces.get(run.iid, ()), linked[run.iid].deleted)
    return found


def _by_run(rows: Iterable[AssessmentRow | TraceRow | JobRow]) -> dict[int, list]:  # type: ignore[type-arg]
    found: dict[int, list] = {}  # type: ignore[type-arg]
    for row in rows:
        found.setdefault(row.candidate_iid, []).append(row)
    return found


@dataclass
class _Making:
    """Makes the answers of one run."""

    run: Run
    jobs: Sequence[JobRow]
    tags: Mapping[str, Mapping[str, str]]
    marks: dict[str, dict[str, Mark]] = field(default_factory=dict)  # by trace and scorer
    expected: dict[str, dict[str, str]] = field(default_factory=dict)  # by trace and name
    digests: dict[str, set[str]] = field(default_factory=dict)
    judges: dict[str, set[str]] = field(default_factory=dict)

    def hear(self, said: Iterable[AssessmentRow]) -> None:
        """Take what counts as evidence: of several marks by one name the newest."""
        for row in sorted(said, key=lambda one: (one.created_ms, one.id)):
            if not self._is_evidence(row.job_id) or row.run_eid not in (None, "", self.run.eid):
                continue
            if row.kind == Kind.EXPECTATION:
                self.expected.setdefault(row.trace_id, {})[row.name] = f"{row.length} {row.value}"
                continue
            mark = marks.mark_of(row.value, row.error, cut=row.length > LONGEST_VALUE)
            self.marks.setdefault(row.trace_id, {})[row.name] = mark
            if row.scorer_digest:
                self.digests.setdefault(row.name, set()).add(row.scorer_digest)
            if row.source_type == _JUDGE and row.source_id:
                self.judges.setdefault(row.name, set()).add(row.source_id)

    def _is_evidence(self, job_id: int | None) -> bool:
        """Whether what this job wrote counts. Where no job's token vouches for the run, whatever anybody wrote does."""
        if not self.jobs:
            return True
        return any(job.job_id == job_id and not (job.late and self.run.snapshot_iid is not None) for job in self.jobs)

    def _is_late(self, row: TraceRow) -> bool:
        return self.run.snapshot_iid is not None and evaluations.is_late(row, self.jobs)

    def _case_of(self, row: TraceRow) -> tuple[str | None, bool]:
        """Name the case that a trace answers, and say whether it is a test."""
        # Whoever made it can still change what is said of another's trace, but not its inputs.
        fixed = not self.jobs or any(job.job_id == row.job_id for job in self.jobs)
        test = self.tags.get(row.id, {}).get(TEST_TAG) if fixed else None
        return _identity(row, test, by_inputs=not fixed), bool(test)

    def _has_failed(self, row: TraceRow) -> bool:
        """Whether the application has failed. Of a person's trace whoever can write may still say so."""
        return row.state == TraceState.ERROR and (not self.jobs or row.job_id is not None)

    def answers(self, name: str, traces: Iterable[TraceRow], deleted: int) -> RunAnswers:
        cases: dict[str, list[CaseTrace]] = {}
        expected: dict[str, set[tuple[str, str]]] = {}
        tests = set()
        for row in traces:
            case, is_test = self._case_of(row)
            known, failed = self.marks.get(row.id, {}), self._has_failed(row)
            if case is None or self._is_late(row) or not (known or (failed and row.id in self.tags)):
                continue
            if is_test:
                tests.add(case)
            cases.setdefault(case, []).append(CaseTrace(row.id, known, failed))
            expected.setdefault(case, set()).update(self.expected.get(row.id, {}).items())
        return RunAnswers(
            self.run.iid,
            self.run.eid,
            name,
            {case: tuple(found) for case, found in cases.items()},
            frozenset(tests),
            {case: _digest(pairs) for case, pairs in expected.items() if pairs},
            {scorer: frozenset(found) for scorer, found in self.digests.items()},
            {scorer: frozenset(found) for scorer, found in self.judges.items()},
            deleted,
        )


def _identity(row: TraceRow, test: str | None, *, by_inputs: bool) -> str | None:
    """Name the case that a trace answers: its test, the id that a user has given it, or a digest of its inputs, which
    is also that of a dataset's record, and which comes first with `by_inputs`. None if nothing tells it from others.
    """
    if row.inputs_digest and (by_inputs or not (test or row.client_request_id)):
        return row.inputs_digest[:_SHOWN]
    return test or row.client_request_id


def _digest(pairs: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for pair in sorted(pairs):
        for part in pair:
            digest.update(len(part).to_bytes(4, "big") + part.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
