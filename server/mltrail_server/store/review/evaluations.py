"""What traces and their assessments say of runs, as far as it is evidence: as many statements for one run as for fifty.

Traces are those that a run's own jobs have linked to it. Which assessments count is decided by who wrote them, see
`services/review/cases/evaluations.py`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from mltrail_server.domain.assessments import Kind
from mltrail_server.store import schema
from mltrail_server.store.db.planner import as_range
from mltrail_server.store.db.transaction import Transaction

LONGEST_VALUE = 1_000
"""Characters of a value or an error that are read: a verdict is short, and an essay is compared by nobody."""

_LINK = schema.candidate_trace
_TRACE = schema.trace
_TAG = schema.trace_tag
_METADATA = schema.trace_metadata
_ASSESSMENT = schema.assessment
_JOB = schema.candidate_job
_INPUT = schema.candidate_dataset
_DATASET = schema.dataset


class Linked(NamedTuple):
    """How many traces a run has, and how many of them others have deleted."""

    traces: int
    deleted: int


class TraceRow(NamedTuple):
    candidate_iid: int
    id: str
    state: int
    duration_ms: int | None
    inputs_digest: str | None
    client_request_id: str | None
    job_id: int | None
    linked_by: int | None  # the job that linked it to the run first


class TextRow(NamedTuple):
    """A tag, or an entry of the metadata, of a run's trace."""

    candidate_iid: int
    trace_id: str
    key: str
    value: str


class AssessmentRow(NamedTuple):
    """`value` and `error` are JSON, cut off after `LONGEST_VALUE` characters; `length` is that of the whole value."""

    candidate_iid: int
    id: str
    trace_id: str
    name: str
    kind: int
    value: str
    length: int
    error: str | None
    source_type: str
    source_id: str
    run_eid: str | None
    scorer_digest: str | None
    job_id: int | None
    created_ms: int


class JobRow(NamedTuple):
    """A job whose token has vouched for a run; `late` if it came after the run had ended."""

    candidate_iid: int
    job_id: int
    late: bool


def linked(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, Linked]:
    """Count each run's own traces; runs without any are left out. One statement."""
    query = (
        sa.select(_LINK.c.candidate_iid, sa.func.count(), sa.func.count(_LINK.c.deleted_by))
        .where(_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid.in_(list(candidate_iids)), _LINK.c.own)
        .group_by(_LINK.c.candidate_iid)
    )
    return {iid: Linked(count - deleted, deleted) for iid, count, deleted in tx.execute(query)}


def traces(tx: Transaction, candidate_iids: Sequence[int]) -> list[TraceRow]:
    """Fetch runs' own traces, each run's in the order of their start."""
    query = (
        sa.select(
            _LINK.c.candidate_iid,
            _TRACE.c.id,
            _TRACE.c.state,
            _TRACE.c.duration_ms,
            _TRACE.c.inputs_digest,
            _TRACE.c.client_request_id,
            _TRACE.c.job_id,
            _LINK.c.job_id,
        )
        .join(_TRACE, (_TRACE.c.project_id == _LINK.c.project_id) & (_TRACE.c.id == _LINK.c.trace_id))
        .where(*_own(tx, candidate_iids))
        .order_by(_LINK.c.candidate_iid, _TRACE.c.started_ms, _TRACE.c.id)
    )
    return [TraceRow(*row) for row in tx.execute(query)]


def tags(tx: Transaction, candidate_iids: Sequence[int], keys: Sequence[str]) -> list[TextRow]:
    """Fetch some tags of runs' own traces."""
    return _texts(tx, _TAG, candidate_iids, keys)


def metadata(tx: Transaction, candidate_iids: Sequence[int], keys: Sequence[str]) -> list[TextRow]:
    """Fetch some of the metadata of runs' own traces."""
    return _texts(tx, _METADATA, candidate_iids, keys)


def _texts(tx: Transaction, table: sa.Table, candidate_iids: Sequence[int], keys: Sequence[str]) -> list[TextRow]:
    query = (
        sa.select(_LINK.c.candidate_iid, table.c.trace_id, table.c.key, sa.func.substr(table.c.value, 1, LONGEST_VALUE))
        .join(table, (table.c.project_id == _LINK.c.project_id) & (table.c.trace_id == _LINK.c.trace_id))
        .where(*_own(tx, candidate_iids), table.c.key.in_(list(keys)))
    )
    return [TextRow(*row) for row in tx.execute(query)]


def assessments(tx: Transaction, candidate_iids: Sequence[int], *, limit: int) -> list[AssessmentRow]:
    """Fetch the feedback on runs' own traces and the expectations, whoever wrote them: up to `limit` of them."""
    columns = (
        _LINK.c.candidate_iid,
        _ASSESSMENT.c.id,
        _ASSESSMENT.c.trace_id,
        _ASSESSMENT.c.name,
        _ASSESSMENT.c.kind,
        sa.func.substr(_ASSESSMENT.c.value, 1, LONGEST_VALUE),
        sa.func.length(_ASSESSMENT.c.value),
        sa.func.substr(_ASSESSMENT.c.error, 1, LONGEST_VALUE),
        _ASSESSMENT.c.source_type,
        sa.func.substr(_ASSESSMENT.c.source_id, 1, LONGEST_VALUE),
        _ASSESSMENT.c.run_eid,
        _ASSESSMENT.c.scorer_digest,
        _ASSESSMENT.c.job_id,
        _ASSESSMENT.c.created_ms,
    )
    same = (_ASSESSMENT.c.project_id == _LINK.c.project_id) & as_range(_ASSESSMENT.c.trace_id, _LINK.c.trace_id)
    query = (
        sa.select(*columns)
        .join(_ASSESSMENT, same)
        .where(*_own(tx, candidate_iids), _ASSESSMENT.c.kind.in_((Kind.FEEDBACK, Kind.EXPECTATION)))
        .limit(limit)
    )
    return [AssessmentRow._make(row) for row in tx.execute(query)]


def own_jobs(tx: Transaction, candidate_iids: Sequence[int]) -> list[JobRow]:
    """Fetch the jobs whose tokens vouch for runs."""
    query = sa.select(_JOB.c.candidate_iid, _JOB.c.job_id, _JOB.c.late).where(
        _JOB.c.project_id == tx.project_id, _JOB.c.candidate_iid.in_(list(candidate_iids)), _JOB.c.verified
    )
    return [JobRow(iid, job_id, bool(late)) for iid, job_id, late in tx.execute(query)]


def is_late(trace: TraceRow, jobs: Iterable[JobRow]) -> bool:
    """Whether a trace was made for a run, or linked to it, by others than the jobs that wrote to it before it had
    ended. Asked of runs that count as they were then.
    """
    late: dict[int | None, bool] = {job.job_id: job.late for job in jobs}
    return late.get(trace.job_id, False) or late.get(trace.linked_by, True)


def dataset_names(tx: Transaction, candidate_iids: Sequence[int]) -> dict[int, list[str]]:
    """Fetch the names of the datasets that runs have logged, each once."""
    of_dataset = (_DATASET.c.project_id == _INPUT.c.project_id) & (_DATASET.c.id == _INPUT.c.dataset_id)
    query = (
        sa.select(_INPUT.c.candidate_iid, _DATASET.c.name)
        .join(_DATASET, of_dataset)
        .where(_INPUT.c.project_id == tx.project_id, _INPUT.c.candidate_iid.in_(list(candidate_iids)))
        .distinct()
        .order_by(_INPUT.c.candidate_iid, _DATASET.c.name)
    )
    found: dict[int, list[str]] = {}
    for iid, name in tx.execute(query):
        found.setdefault(iid, []).append(name)
    return found


def _own(tx: Transaction, candidate_iids: Sequence[int]) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _LINK.c.project_id == tx.project_id,
        _LINK.c.candidate_iid.in_(list(candidate_iids)),
        _LINK.c.own,
        _LINK.c.deleted_by.is_(None),
    )
