"""What a table of candidates shows: which columns there are, and the values of those that are shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.ids import ProjectId

from . import schema
from .jobs import Part
from .metrics import NAN

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric
_LINK = schema.candidate_job


@dataclass(frozen=True, slots=True)
class Made:
    """A job that made a candidate or added to it, with what GitLab said of it last; None where it was not asked yet."""

    candidate_iid: int
    part: Part
    job_id: int
    job_name: str | None
    job_status: str | None
    job_reason: str | None
    verified: bool
    pipeline_id: int
    pipeline_status: str | None
    sha: str | None
    ref: str | None
    source: str | None
    merge_request_iid: int | None


def newest(
    connection: sa.Connection, project_id: ProjectId, experiment_iid: int, stages: Sequence[Stage], *, limit: int
) -> list[int]:
    """List the numbers of the newest candidates."""
    query = sa.select(_T.c.iid).where(
        _T.c.project_id == project_id, _T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages)
    )
    return list(connection.execute(query.order_by(_T.c.started_ms.desc(), _T.c.eid).limit(limit)).scalars())


def count(
    connection: sa.Connection, project_id: ProjectId, experiment_iid: int, stages: Sequence[Stage], *, most: int
) -> int:
    """Count an experiment's candidates, up to one more than `most`."""
    query = sa.select(sa.literal(1)).where(
        _T.c.project_id == project_id, _T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages)
    )
    found: int = connection.execute(
        sa.select(sa.func.count()).select_from(query.limit(most + 1).subquery())
    ).scalar_one()
    return found


def counts(
    connection: sa.Connection,
    project_id: ProjectId,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    *,
    most: int,
) -> dict[int, int]:
    """Count the candidates of several experiments in one statement, each up to one more than `most`."""
    parts = [
        sa.select(
            sa.literal(iid).label("iid"),
            sa.select(sa.func.count())
            .select_from(
                sa.select(sa.literal(1))
                .where(_T.c.project_id == project_id, _T.c.experiment_iid == iid, _T.c.stage.in_(stages))
                .limit(most + 1)
                .subquery()
            )
            .scalar_subquery(),
        )
        for iid in experiment_iids
    ]
    return {row[0]: row[1] for row in connection.execute(sa.union_all(*parts))} if parts else {}


def count_tagged(connection: sa.Connection, project_id: ProjectId, key: str, value: str, *, most: int) -> int:
    """Count the candidates that have a tag of a short value, up to `most`."""
    tag = schema.candidate_tag
    query = sa.select(sa.literal(1)).where(
        # As a range, since SQLite would else take all rows of the project for fewer than those of one value.
        tag.c.project_id == project_id,
        tag.c.key == key,
        tag.c.value_start.between(value, value),
    )
    found: int = connection.execute(sa.select(sa.func.count()).select_from(query.limit(most).subquery())).scalar_one()
    return found


def metric_names(connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]) -> list[str]:
    """List the names of the metrics that some candidates have, each once.

    SQLite, which has no statistics, would walk all values of the project because their index has the keys in order;
    `+ 0` keeps it from it.
    """
    ids = sa.select(_LATEST.c.key_id + 0).where(
        _LATEST.c.project_id == project_id, _LATEST.c.candidate_iid.in_(list(candidate_iids))
    )
    query = sa.select(_KEY.c.name).where(_KEY.c.project_id == project_id, _KEY.c.id.in_(ids.distinct()))
    return list(connection.execute(query.order_by(_KEY.c.name)).scalars())


def params_that_differ(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]
) -> dict[str, bool]:
    """List the parameters that some candidates have by name, and tell of each whether its values differ."""
    table = schema.param
    # As in `metric_names`: an expression, so that SQLite looks the candidates up instead of walking an index of keys.
    key = (table.c.key + "").label("name")
    differs = sa.func.min(table.c.value) != sa.func.max(table.c.value)
    query = sa.select(key, differs.label("differs")).where(
        table.c.project_id == project_id, table.c.candidate_iid.in_(list(candidate_iids))
    )
    return dict(sorted((row.name, bool(row.differs)) for row in connection.execute(query.group_by(key))))


def metric_values(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int], names: Sequence[str]
) -> dict[int, dict[str, float]]:
    """Fetch the latest values of some metrics."""
    query = (
        sa.select(_LATEST.c.candidate_iid, _KEY.c.name, _LATEST.c.value, _LATEST.c.is_nan)
        .join(_KEY, (_KEY.c.project_id == _LATEST.c.project_id) & (_KEY.c.id == _LATEST.c.key_id))
        .where(
            _LATEST.c.project_id == project_id,
            _LATEST.c.candidate_iid.in_(list(candidate_iids)),
            _KEY.c.name.in_(names),
        )
    )
    found: dict[int, dict[str, float]] = {}
    for iid, name, value, is_nan in connection.execute(query):
        found.setdefault(iid, {})[name] = NAN if is_nan else value
    return found


def param_values(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int], names: Sequence[str]
) -> dict[int, dict[str, str]]:
    """Fetch some parameters."""
    return _pairs(connection, schema.param, project_id, candidate_iids, names)


def tag_values(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int], names: Sequence[str]
) -> dict[int, dict[str, str]]:
    """Fetch some tags."""
    return _pairs(connection, schema.candidate_tag, project_id, candidate_iids, names)


def made_by(connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]) -> list[Made]:
    """Fetch the jobs of some candidates, with their pipelines; of each candidate the creator comes last."""
    job, pipeline = schema.job, schema.pipeline
    query = (
        sa.select(
            _LINK.c.candidate_iid,
            _LINK.c.part,
            _LINK.c.job_id,
            job.c.name,
            job.c.status,
            job.c.failure_reason,
            _LINK.c.verified,
            _LINK.c.pipeline_id,
            pipeline.c.status,
            pipeline.c.sha,
            pipeline.c.ref,
            pipeline.c.source,
            pipeline.c.merge_request_iid,
        )
        .outerjoin(job, (job.c.project_id == _LINK.c.project_id) & (job.c.id == _LINK.c.job_id))
        .outerjoin(pipeline, (pipeline.c.project_id == _LINK.c.project_id) & (pipeline.c.id == _LINK.c.pipeline_id))
        .where(
            _LINK.c.project_id == project_id,
            _LINK.c.candidate_iid.in_(list(candidate_iids)),
        )
        .order_by(_LINK.c.candidate_iid, _LINK.c.part.desc(), _LINK.c.verified, _LINK.c.job_id)
    )
    return [Made(iid, Part(part), *rest) for iid, part, *rest in connection.execute(query)]


def _pairs(
    connection: sa.Connection,
    table: sa.Table,
    project_id: ProjectId,
    candidate_iids: Iterable[int],
    names: Sequence[str],
) -> dict[int, dict[str, str]]:
    query = sa.select(table.c.candidate_iid, table.c.key, table.c.value).where(
        table.c.project_id == project_id, table.c.candidate_iid.in_(list(candidate_iids)), table.c.key.in_(names)
    )
    found: dict[int, dict[str, str]] = {}
    for iid, key, value in connection.execute(query):
        found.setdefault(iid, {})[key] = value
    return found
