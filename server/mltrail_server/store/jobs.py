"""Jobs of GitLab, and which candidates they made."""

from dataclasses import dataclass
from enum import IntEnum

import sqlalchemy as sa

from mltrail_server.domain import ci
from mltrail_server.domain.ids import ProjectId

from . import schema
from .prepared import Prepared
from .sql import Row, upsert

_LINK = schema.candidate_job
_OF_CANDIDATE = Prepared(
    sa.select(_LINK.c.job_id, _LINK.c.pipeline_id, _LINK.c.part, _LINK.c.verified)
    .where(_LINK.c.project_id == sa.bindparam("project_id"), _LINK.c.candidate_iid == sa.bindparam("candidate_iid"))
    .order_by(_LINK.c.part, _LINK.c.job_id)
)


class Part(IntEnum):
    CREATOR = 0
    CONTRIBUTOR = 1  # another job of the same pipeline that writes to the candidate, say an evaluation


@dataclass(frozen=True, slots=True)
class Link:
    job_id: int
    pipeline_id: int
    part: Part
    verified: bool


def know(connection: sa.Connection, project_id: ProjectId, job_id: int, *, pipeline_id: int) -> None:
    """Make a job known; GitLab is asked about it later."""
    upsert(connection, schema.job, [{"project_id": project_id, "id": job_id, "pipeline_id": pipeline_id}])


def tie(
    connection: sa.Connection,
    project_id: ProjectId,
    candidate_iid: int,
    *,
    job_id: int,
    pipeline_id: int,
    part: Part,
    verified: bool,
    counts_to: int | None = None,
) -> None:
    """Tie a candidate to a job that is known. It `counts_to` another pipeline than the job's where that is a child."""
    link = {"project_id": project_id, "candidate_iid": candidate_iid, "job_id": job_id}
    upsert(connection, _LINK, [link | {"pipeline_id": counts_to or pipeline_id, "part": part, "verified": verified}])


def links_of(connection: sa.Connection, project_id: ProjectId, candidate_iid: int) -> list[Link]:
    """Fetch the jobs of a candidate, its creator first."""
    rows = _OF_CANDIDATE.all(connection, {"project_id": project_id, "candidate_iid": candidate_iid})
    return [Link(job_id, pipeline_id, Part(part), bool(verified)) for job_id, pipeline_id, part, verified in rows]


def any_verified_in(connection: sa.Connection, project_id: ProjectId, experiment_iid: int) -> bool:
    """Tell whether an experiment holds a candidate that a job's token vouches for."""
    made = schema.candidate
    of_candidate = (made.c.project_id == _LINK.c.project_id) & (made.c.iid == _LINK.c.candidate_iid)
    query = sa.select(sa.literal(1)).select_from(_LINK.join(made, of_candidate))
    query = query.where(_LINK.c.project_id == project_id, made.c.experiment_iid == experiment_iid, _LINK.c.verified)
    return connection.execute(query.limit(1)).scalar() is not None


def amend(connection: sa.Connection, project_id: ProjectId, candidate_iid: int) -> None:
    """Note that somebody else than its own jobs has written to a candidate."""
    table = schema.candidate
    where = (table.c.project_id == project_id, table.c.iid == candidate_iid)
    connection.execute(sa.update(table).where(*where).values(amended=True))


def flag(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, job_id: int, *, at: int) -> None:
    """Note that a job has written while GitLab could not tell whether it still runs."""
    where = (_LINK.c.project_id == project_id, _LINK.c.candidate_iid == candidate_iid, _LINK.c.job_id == job_id)
    connection.execute(sa.update(_LINK).where(*where).values(unchecked_ms=at))


def settle_flags(connection: sa.Connection, project_id: ProjectId, told: list[ci.Job], *, grace_ms: int) -> None:
    """Judge what was flagged, now that GitLab tells when the jobs ended: what came later than the grace amends its
    candidate. One statement where nothing is flagged.
    """
    ends = {job.id: job.finished_ms for job in told if job.finished_ms is not None}
    query = sa.select(_LINK.c.candidate_iid, _LINK.c.job_id, _LINK.c.unchecked_ms).where(
        _LINK.c.project_id == project_id, _LINK.c.job_id.in_(list(ends)), _LINK.c.unchecked_ms.is_not(None)
    )
    for row in connection.execute(query).all():
        if row.unchecked_ms > ends[row.job_id] + grace_ms:
            amend(connection, project_id, row.candidate_iid)
        where = (_LINK.c.candidate_iid == row.candidate_iid, _LINK.c.job_id == row.job_id)
        connection.execute(sa.update(_LINK).where(_LINK.c.project_id == project_id, *where).values(unchecked_ms=None))


@dataclass(frozen=True, slots=True)
class TiedJob:
    """A job of a candidate, with what GitLab said of it last; `status` is None until GitLab was asked."""

    candidate_iid: int
    job_id: int
    part: Part
    verified: bool
    name: str | None
    status: str | None
    failure_reason: str | None
    web_url: str | None
    retried: bool


def refresh(connection: sa.Connection, project_id: ProjectId, jobs: list[ci.Job], *, now: int) -> None:
    """Keep what GitLab says of jobs now."""
    rows = [
        {
            "project_id": project_id,
            "id": job.id,
            "pipeline_id": job.pipeline_id,
            "name": job.name,
            "status": job.status,
            "failure_reason": job.failure_reason,
            "web_url": job.web_url,
            "retried": job.retried,
            "allow_failure": job.allow_failure,
            "refreshed_ms": now,
        }
        for job in jobs
    ]
    changing = [name for name in rows[0] if name not in {"project_id", "id"}] if rows else []
    upsert(connection, schema.job, rows, update=changing)


def has_candidates(connection: sa.Connection, project_id: ProjectId, job_id: int) -> bool:
    query = sa.select(sa.literal(1)).where(_LINK.c.project_id == project_id, _LINK.c.job_id == job_id)
    return connection.execute(query.limit(1)).first() is not None


def told_of(connection: sa.Connection, project_id: ProjectId, job_id: int) -> tuple[str | None, int] | None:
    """Answer a job's status as GitLab told it last, and when; None for a job that GitLab was not asked about."""
    job = schema.job
    query = sa.select(job.c.status, job.c.refreshed_ms).where(
        job.c.project_id == project_id, job.c.id == job_id, job.c.refreshed_ms.is_not(None)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else (row.status, row.refreshed_ms)


def told(connection: sa.Connection, project_id: ProjectId, told: ci.Job, *, now: int) -> bool:
    """Keep what GitLab says of one job that is known here; False for one that has made nothing."""
    job = schema.job
    kept = connection.execute(
        sa.update(job)
        .where(job.c.project_id == project_id, job.c.id == told.id)
        .values(status=told.status, failure_reason=told.failure_reason, web_url=told.web_url, refreshed_ms=now)
    )
    return kept.rowcount == 1


def vanish(connection: sa.Connection, project_id: ProjectId, ids: list[int], *, now: int) -> None:
    """Note that GitLab does not have these jobs any more. What was seen of a job's end stays."""
    job = schema.job
    open_still = sa.func.coalesce(job.c.status, "").not_in(list(ci.ENDED))
    where = (job.c.project_id == project_id, job.c.id.in_(ids), open_still)
    connection.execute(sa.update(job).where(*where).values(status=ci.DELETED, refreshed_ms=now))


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
)
"""What `tied_job` reads."""


def tied_job(row: Row) -> TiedJob:
    """Make a tied job of a row that holds `TIED`, and perhaps more."""
    return TiedJob(
        row.candidate_iid,
        row.job_id,
        Part(row.part),
        bool(row.verified),
        row.name,
        row.status,
        row.failure_reason,
        row.web_url,
        bool(row.retried),
    )


def tied_in(connection: sa.Connection, project_id: ProjectId, pipeline_id: int) -> list[TiedJob]:
    """List the jobs of all candidates of a pipeline: creators first, then by number."""
    job = schema.job
    query = (
        sa.select(*TIED)
        .join(job, (job.c.project_id == _LINK.c.project_id) & (job.c.id == _LINK.c.job_id))
        # Said as a range, and sorted here: without statistics SQLite would walk over all links of the project.
        .where(_LINK.c.project_id == project_id, _LINK.c.pipeline_id.between(pipeline_id, pipeline_id))
    )
    return [
        tied_job(row)
        for row in sorted(connection.execute(query), key=lambda row: (row.candidate_iid, row.part, row.job_id))
    ]
