"""GitLab's jobs, and which candidates they made."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import sqlalchemy as sa

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.planner import as_range
from mltrail_server.store.db.statements import Row, Statement, add_new
from mltrail_server.store.db.transaction import Transaction

_LINK = schema.candidate_job
_OF_CANDIDATE = Statement(
    sa.select(_LINK.c.job_id, _LINK.c.pipeline_id, _LINK.c.part, _LINK.c.verified)
    .where(_LINK.c.project_id == sa.bindparam("project_id"), _LINK.c.candidate_iid == sa.bindparam("candidate_iid"))
    .order_by(_LINK.c.part, _LINK.c.job_id)
)
_TIE = Statement(
    lambda dialect: add_new(dialect, _LINK),
    columns=(
        "project_id",
        "candidate_iid",
        "job_id",
        "pipeline_id",
        "part",
        "verified",
        "late",
        "after_pipeline",
        "overdue",
    ),
)


class JobPart(IntEnum):
    CREATOR = 0
    CONTRIBUTOR = 1  # another job of the same pipeline that writes to the candidate, say an evaluation


@dataclass(frozen=True, slots=True)
class JobTie:
    job_id: int
    pipeline_id: int
    part: JobPart
    verified: bool


@dataclass(frozen=True, slots=True)
class Lateness:
    """Whether a job came after the run had ended and a snapshot had been taken, and after all of its pipeline had
    ended.
    """

    late: bool = False
    after_pipeline: bool = False


@dataclass(frozen=True, slots=True)
class JobFlag:
    """When a job last wrote while GitLab could not say whether it was still running, and whether it came late."""

    unchecked_ms: int | None
    late: bool


def ensure(tx: Transaction, job_id: int, *, pipeline_id: int) -> None:
    """Add a job if it is new; GitLab is asked about it later."""
    tx.upsert(schema.job, [{"project_id": tx.project_id, "id": job_id, "pipeline_id": pipeline_id}])


def tie(  # noqa: PLR0913 - the columns of a row, each by its name
    tx: Transaction,
    candidate_iid: int,
    *,
    job_id: int,
    pipeline_id: int,
    part: JobPart,
    verified: bool,
    counts_to: int | None = None,
    lateness: Lateness = Lateness(),
) -> None:
    """Tie a candidate to a known job. It `counts_to` another pipeline than the job's if that is a child pipeline."""
    tx.run(
        _TIE,
        candidate_iid=candidate_iid,
        job_id=job_id,
        pipeline_id=counts_to or pipeline_id,
        part=part,
        verified=verified,
        late=lateness.late,
        after_pipeline=lateness.after_pipeline,
        overdue=False,
    )


def ties_of(tx: Transaction, candidate_iid: int) -> list[JobTie]:
    """Fetch the jobs of a candidate, its creator first."""
    rows = tx.all(_OF_CANDIDATE, candidate_iid=candidate_iid)
    return [JobTie(job_id, pipeline_id, JobPart(part), bool(verified)) for job_id, pipeline_id, part, verified in rows]


def any_verified_in(tx: Transaction, experiment_iid: int) -> bool:
    """Return whether an experiment holds a candidate that a job's token vouches for."""
    made = schema.candidate
    of_candidate = (made.c.project_id == _LINK.c.project_id) & (made.c.iid == _LINK.c.candidate_iid)
    query = sa.select(sa.literal(1)).select_from(_LINK.join(made, of_candidate))
    query = query.where(_LINK.c.project_id == tx.project_id, made.c.experiment_iid == experiment_iid, _LINK.c.verified)
    return tx.execute(query.limit(1)).scalar() is not None


def any_protected_in(tx: Transaction, experiment_iid: int) -> bool:
    """Return whether an experiment holds a candidate of a protected ref; where that is not known, the default branch
    counts as one.
    """
    made, pipeline = schema.candidate, schema.pipeline
    on_default_branch = (
        sa.select(sa.literal(1))
        .select_from(
            _LINK.join(pipeline, (pipeline.c.project_id == _LINK.c.project_id) & (pipeline.c.id == _LINK.c.pipeline_id))
        )
        .where(
            _LINK.c.project_id == made.c.project_id,
            _LINK.c.candidate_iid == made.c.iid,
            _LINK.c.verified,
            pipeline.c.on_default_branch,
        )
        .correlate(made)
        .exists()
    )
    query = sa.select(sa.literal(1)).where(
        made.c.project_id == tx.project_id,
        made.c.experiment_iid == experiment_iid,
        sa.or_(made.c.protected.is_(sa.true()), sa.and_(made.c.protected.is_(None), on_default_branch)),
    )
    return tx.execute(query.limit(1)).scalar() is not None


def statuses_of(tx: Transaction, candidate_iid: int) -> list[str | None]:
    """Fetch the last known statuses of a candidate's jobs; of those that were retried, of the newest attempt only."""
    job = schema.job
    query = (
        sa.select(job.c.status)
        .join(_LINK, (_LINK.c.project_id == job.c.project_id) & (_LINK.c.job_id == job.c.id))
        .where(
            _LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == candidate_iid, job.c.retried.is_(sa.false())
        )
    )
    return list(tx.execute(query).scalars())


def flags_of(tx: Transaction, candidate_iid: int) -> dict[int, JobFlag]:
    """Fetch the flags of a candidate's jobs."""
    query = sa.select(_LINK.c.job_id, _LINK.c.unchecked_ms, _LINK.c.late).where(
        _LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == candidate_iid
    )
    return {row.job_id: JobFlag(row.unchecked_ms, bool(row.late)) for row in tx.execute(query)}


def settle_late(tx: Transaction, candidate_iid: int) -> None:
    """Note that all of a candidate's jobs so far are part of the snapshot that was just taken."""
    where = (_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == candidate_iid, _LINK.c.late)
    tx.execute(sa.update(_LINK).where(*where).values(late=False, after_pipeline=False))


def made_by(project_id: ProjectId, job_id: int) -> sa.Select[int]:
    """Select the candidates that a job has created."""
    return sa.select(_LINK.c.candidate_iid).where(
        _LINK.c.project_id == project_id, _LINK.c.job_id == job_id, _LINK.c.part == JobPart.CREATOR, _LINK.c.verified
    )


def flag(tx: Transaction, candidate_iid: int, job_id: int, *, at: int) -> None:
    """Note that a job has written while GitLab could not say whether it was still running."""
    where = (_LINK.c.project_id == tx.project_id, _LINK.c.candidate_iid == candidate_iid, _LINK.c.job_id == job_id)
    tx.execute(sa.update(_LINK).where(*where).values(unchecked_ms=at))


def settle_flags(tx: Transaction, known: list[gitlab_ci.Job], *, grace_ms: int) -> None:
    """Judge what was flagged, now that GitLab says when the jobs ended: if a write came later than the grace period,
    what the candidate was before that counts. One statement if nothing is flagged.
    """
    ends = {job.id: job.finished_ms for job in known if job.finished_ms is not None}
    query = sa.select(_LINK.c.candidate_iid, _LINK.c.job_id, _LINK.c.unchecked_ms).where(
        _LINK.c.project_id == tx.project_id, _LINK.c.job_id.in_(list(ends)), _LINK.c.unchecked_ms.is_not(None)
    )
    for row in tx.execute(query).all():
        changes: dict[str, object] = {"unchecked_ms": None}
        if row.unchecked_ms > ends[row.job_id] + grace_ms:
            changes["overdue"] = True
        where = (_LINK.c.candidate_iid == row.candidate_iid, _LINK.c.job_id == row.job_id)
        tx.execute(sa.update(_LINK).where(_LINK.c.project_id == tx.project_id, *where).values(changes))


@dataclass(frozen=True, slots=True)
class TiedJob:
    """A job of a candidate, with what GitLab last said about it; `status` is None until GitLab was asked."""

    candidate_iid: int
    job_id: int
    part: JobPart
    verified: bool
    name: str | None
    status: str | None
    failure_reason: str | None
    web_url: str | None
    retried: bool
    allow_failure: bool = False
    pipeline_id: int = 0  # the job's own, even if its runs count towards another
    late: bool = False  # it came after the run had ended and a snapshot had been taken
    after_pipeline: bool = False  # it came after all of the pipeline had ended
    overdue: bool = False  # it has written after its own end


def refresh(tx: Transaction, jobs: list[gitlab_ci.Job]) -> None:
    """Store what GitLab now says about jobs."""
    rows = [
        {
            "project_id": tx.project_id,
            "id": job.id,
            "pipeline_id": job.pipeline_id,
            "name": job.name,
            "status": job.status,
            "failure_reason": job.failure_reason,
            "web_url": job.web_url,
            "retried": job.retried,
            "allow_failure": job.allow_failure,
            "refreshed_ms": tx.now,
        }
        for job in jobs
    ]
    changing = [name for name in rows[0] if name not in {"project_id", "id"}] if rows else []
    tx.upsert(schema.job, rows, update=changing)


def has_candidates(tx: Transaction, job_id: int) -> bool:
    query = sa.select(sa.literal(1)).where(_LINK.c.project_id == tx.project_id, _LINK.c.job_id == job_id)
    return tx.execute(query.limit(1)).first() is not None


def last_status(tx: Transaction, job_id: int) -> tuple[str | None, int] | None:
    """Return a job's last known status, and when GitLab gave it; None for a job that GitLab was not asked about."""
    job = schema.job
    query = sa.select(job.c.status, job.c.refreshed_ms).where(
        job.c.project_id == tx.project_id, job.c.id == job_id, job.c.refreshed_ms.is_not(None)
    )
    row = tx.execute(query).one_or_none()
    return None if row is None else (row.status, row.refreshed_ms)


def note_status(tx: Transaction, current: gitlab_ci.Job) -> bool:
    """Store what GitLab says about a job, and return whether the job is known here: whether it has made anything."""
    job = schema.job
    kept = tx.execute(
        sa.update(job)
        .where(job.c.project_id == tx.project_id, job.c.id == current.id)
        .values(
            status=current.status,
            failure_reason=current.failure_reason,
            web_url=current.web_url,
            refreshed_ms=tx.now,
        )
    )
    return kept.rowcount == 1


def vanish(tx: Transaction, ids: list[int]) -> None:
    """Note that GitLab no longer has these jobs. The status of a job that was seen to end is kept."""
    job = schema.job
    open_still = sa.func.coalesce(job.c.status, "").not_in(list(gitlab_ci.ENDED))
    where = (job.c.project_id == tx.project_id, job.c.id.in_(ids), open_still)
    tx.execute(sa.update(job).where(*where).values(status=gitlab_ci.DELETED, refreshed_ms=tx.now))


TIED = (
    _LINK.c.candidate_iid,
    _LINK.c.job_id,
    _LINK.c.part,
    _LINK.c.verified,
    schema.job.c.name,
    schema.job.c.status,
    schema.job.c.failure_reason,
    schema.job.c.web_url,
    schema.job.c.retried,
    schema.job.c.allow_failure,
    schema.job.c.pipeline_id.label("own_pipeline_id"),
    _LINK.c.late,
    _LINK.c.after_pipeline,
    _LINK.c.overdue,
)
"""What `tied_job` reads."""


def tied_job(row: Row) -> TiedJob:
    """Make a tied job from a row that holds `TIED`, and perhaps more."""
    return TiedJob(
        row.candidate_iid,
        row.job_id,
        JobPart(row.part),
        bool(row.verified),
        row.name,
        row.status,
        row.failure_reason,
        row.web_url,
        bool(row.retried),
        bool(row.allow_failure),
        row.own_pipeline_id,
        bool(row.late),
        bool(row.after_pipeline),
        bool(row.overdue),
    )


def newest_attempts(tx: Transaction, tied: Iterable[TiedJob]) -> dict[tuple[int, str], str | None]:
    """Fetch the statuses of the newest attempts of jobs that were retried, by pipeline and name. No statement if none
    was retried.
    """
    wanted = {job.pipeline_id for job in tied if job.retried and job.name is not None}
    if not wanted:
        return {}
    job = schema.job
    query = sa.select(job.c.pipeline_id, job.c.name, job.c.status).where(
        job.c.project_id == tx.project_id,
        job.c.pipeline_id.in_(sorted(wanted)),
        job.c.retried.is_(sa.false()),
        job.c.name.is_not(None),
    )
    return {(row.pipeline_id, row.name): row.status for row in tx.execute(query.order_by(job.c.id))}


def tied_in(tx: Transaction, pipeline_id: int) -> list[TiedJob]:
    """List the jobs of all candidates of a pipeline: creators first, then by number."""
    job = schema.job
    query = (
        sa.select(*TIED)
        .join(job, (job.c.project_id == _LINK.c.project_id) & (job.c.id == _LINK.c.job_id))
        # Sorted in Python, so that the order does not make the planner take another index.
        .where(_LINK.c.project_id == tx.project_id, as_range(_LINK.c.pipeline_id, pipeline_id))
    )
    return [
        tied_job(row) for row in sorted(tx.execute(query), key=lambda row: (row.candidate_iid, row.part, row.job_id))
    ]
