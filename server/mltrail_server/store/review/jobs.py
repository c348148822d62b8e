"""Jobs of a merge request's commit: which still run, which wait for a person, and which ask for reports."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.domain.report_job import ReportJob
from mltrail_server.store import schema
from mltrail_server.store.ci import child_pipelines
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.transaction import Transaction

_T = schema.pipeline
_JOB = schema.job

BUSY = frozenset({"pending", "running", "preparing", "waiting_for_resource", "waiting_for_callback", "canceling"})
"""`created` is not among them: such a job waits for others, perhaps for the report's own."""

WAITING = frozenset({"manual", "scheduled"})


@dataclass(frozen=True, slots=True)
class HeadJobs:
    """`busy` are the pipelines of running jobs by the job's name, without those that ask for reports; `waiting` are the
    names of jobs that wait to be started.
    """

    busy: Mapping[str, AbstractSet[int]] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()


def of_commit(tx: Transaction, roots: Sequence[int]) -> HeadJobs:
    """Look at the newest attempts of all jobs of pipelines and of their children. One statement."""
    if not roots:
        return HeadJobs()
    of_pipeline = (_T.c.project_id == _JOB.c.project_id) & (_T.c.id == _JOB.c.pipeline_id)
    columns = (_JOB.c.name, _JOB.c.status, _JOB.c.asked_ms, sa.func.coalesce(_T.c.root_id, _T.c.id).label("root"))
    query = (
        sa.select(*columns)
        .join_from(_T, _JOB, of_pipeline)
        .where(
            _T.c.project_id == tx.project_id,
            _JOB.c.project_id == tx.project_id,
            sa.or_(_T.c.id.in_(roots), _T.c.root_id.in_(roots)),
            _JOB.c.status.in_(sorted(BUSY | WAITING)),
            _JOB.c.name.is_not(None),
            ~_JOB.c.retried,
        )
    )
    busy: dict[str, set[int]] = {}
    waiting = set()
    for row in tx.execute(query):
        if row.status in WAITING:
            waiting.add(row.name)
        elif row.asked_ms is None:
            busy.setdefault(row.name, set()).add(row.root)
    return HeadJobs(busy, frozenset(waiting))


_REQUEST = schema.merge_request
_MOST_NAMES = 20
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class ReportJobs:
    """`asked` is the newest attempt of the job that last asked; `alike` are the pipeline's jobs with given names."""

    asked: ReportJob | None
    alike: Sequence[ReportJob]


def keep(tx: Transaction, pipeline_id: int, job_id: int) -> None:
    """Note that a job has asked for a pipeline's report."""
    where = (_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)
    tx.execute(sa.update(_T).where(*where).values(report_job_id=job_id))
    tx.execute(sa.update(_JOB).where(_JOB.c.project_id == tx.project_id, _JOB.c.id == job_id).values(asked_ms=tx.now))


def names_before(tx: Transaction, pipeline_id: int, *, iid: int, target: str) -> list[str]:
    """List the names of jobs that asked for reports of older pipelines, the newest first: pipelines of this merge
    request, and of those that were merged into the same branch.
    """
    of_job = sa.and_(_JOB.c.project_id == _T.c.project_id, _JOB.c.id == _T.c.report_job_id)
    of_request = sa.and_(_REQUEST.c.project_id == _T.c.project_id, _REQUEST.c.iid == _T.c.merge_request_iid)
    reviewed = sa.and_(_REQUEST.c.state == "merged", _REQUEST.c.target_branch == target)
    query = (
        sa.select(_JOB.c.name)
        .select_from(_T.join(_JOB, of_job).join(_REQUEST, of_request))
        .where(
            _T.c.project_id == tx.project_id,
            # In the order of this index and by no other, so that a long history is not scanned.
            _T.c.report_job_id.between(1, _LARGEST),
            unindexed(_T.c.id) < pipeline_id,
            sa.or_(_T.c.merge_request_iid == iid, reviewed),
            _JOB.c.name.is_not(None),
        )
    )
    found = tx.execute(query.order_by(_T.c.report_job_id.desc()).limit(_MOST_NAMES)).scalars()
    return list(dict.fromkeys(found))


def of_pipeline(tx: Transaction, pipeline_id: int, names: Sequence[str]) -> ReportJobs:
    """Fetch the job that has asked for a pipeline's report, and the jobs with these names, its children's included.

    Three statements.
    """
    of_job = sa.and_(_JOB.c.project_id == _T.c.project_id, _JOB.c.id == _T.c.report_job_id)
    query = sa.select(_JOB.c.id, _JOB.c.name).join_from(_T, _JOB, of_job)
    row = tx.execute(query.where(_T.c.project_id == tx.project_id, _T.c.id == pipeline_id)).one_or_none()
    family = [pipeline_id, *child_pipelines.children(tx, pipeline_id)]
    wanted = {*names, *([row.name] if row is not None and row.name else [])}
    jobs = sa.select(_JOB.c.id, _JOB.c.name, _JOB.c.status, _JOB.c.allow_failure).where(
        _JOB.c.project_id == tx.project_id,
        _JOB.c.pipeline_id.in_(family),
        _JOB.c.name.in_(sorted(wanted)),
        ~_JOB.c.retried,
    )
    found = [ReportJob(one.id, one.name, one.status, bool(one.allow_failure)) for one in tx.execute(jobs)]
    found.sort(key=lambda one: one.id)
    asked = None
    if row is not None:
        newest = [one for one in found if one.name == row.name]
        asked = newest[-1] if newest else ReportJob(row.id, row.name or f"job {row.id}", None)
    return ReportJobs(asked, [one for one in found if one.name in names])
