"""Columns and values of a table of candidates, and the best value of each metric on any page.

For the best values small experiments are read as a whole. In large ones the index that has each metric's values in
order is walked from its best end, but not far: it holds the values of all of the project's experiments, and few may be
this one's.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.direction import Better
from mltrail_server.domain.filters import Clause
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.ci.jobs import JobPart
from mltrail_server.store.db.planner import looked_up, unindexed
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.metrics import NAN
from mltrail_server.store.tracking.search_clauses import matches

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric
_LINK = schema.candidate_job
_JOB = schema.job
_WALKED = 100

FAILED_JOB = ("failed", "canceled")
FAILED = (Status.FAILED, Status.KILLED)


def best_values(  # noqa: PLR0913 - a search has that many parts, each by its name
    tx: Transaction,
    experiment_iid: int,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    *,
    wanted: Mapping[str, Better],
    small: bool,
    also: Sequence[sa.ColumnElement[bool]] = (),
    few: Sequence[int] | None = None,
) -> dict[str, float]:
    """Find the best value of each metric, in one statement; a run that failed, or whose job did, does not count.
    `also` are further conditions, and `few` the only candidates that can match, if they are few.

    A metric is missing if no matching run has it or, unless the experiment is `small`, if none of its 100 best values
    in the project belongs to a matching run.
    """
    if not wanted:
        return {}
    counts = (
        _T.c.project_id == tx.project_id,
        _T.c.status.not_in(FAILED),
        ~looked_up(_failed_jobs(tx.project_id)),
        *(matches(clause, tx.project_id) for clause in clauses),
        *also,
    )
    within = _within(experiment_iid, stages, looked_up_by_number=few is not None or not small)
    if small or few is not None:
        within += [] if few is None else [_T.c.iid.in_(few)]
        query = _looked_through(tx.project_id, wanted, sa.select(_T.c.iid).where(*counts, *within))
        return _chosen({name: (low, high) for name, low, high in tx.execute(query)}, wanted)
    names = list(wanted)
    top = _walks(tuple(wanted.values()))
    found = (
        sa.select(top.c.place, sa.func.max(top.c.value), sa.func.min(top.c.value))
        .join_from(top, _T, _T.c.iid == top.c.candidate_iid)
        .where(*counts, *within)
        .group_by(top.c.place)
    )
    given = {"project_id": tx.project_id, **{f"wanted_{place}": name for place, name in enumerate(names)}}
    return _chosen({names[place]: (low, high) for place, high, low in tx.execute(found, given)}, wanted)


def _within(experiment_iid: int, stages: Sequence[Stage], *, looked_up_by_number: bool) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for candidates of an experiment's view. If a few are looked up by their numbers, the
    database must not walk through the whole experiment to find them.
    """
    if looked_up_by_number:
        return [unindexed(_T.c.experiment_iid) == experiment_iid, unindexed(_T.c.stage).in_(stages)]
    return [_T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages)]


def _chosen(extremes: Mapping[str, tuple[float, float]], wanted: Mapping[str, Better]) -> dict[str, float]:
    return {name: high if wanted[name] is Better.HIGHER else low for name, (low, high) in extremes.items()}


def _looked_through(
    project_id: ProjectId, wanted: Mapping[str, Better], candidate_iids: sa.Select[int]
) -> sa.Select[str, float, float]:
    # The candidates' values are looked up, rather than all of the project's scanned by their keys.
    named = sa.and_(_KEY.c.project_id == _LATEST.c.project_id, _KEY.c.id == unindexed(_LATEST.c.key_id))
    return (
        sa.select(_KEY.c.name, sa.func.min(_LATEST.c.value), sa.func.max(_LATEST.c.value))
        .select_from(_LATEST.join(_KEY, named))
        .where(
            _LATEST.c.project_id == project_id,
            _LATEST.c.candidate_iid.in_(candidate_iids),
            ~_LATEST.c.is_nan,
            unindexed(_KEY.c.name).in_(wanted),
        )
        .group_by(_KEY.c.name)
    )


@cache
def _walks(directions: tuple[Better, ...]) -> sa.Subquery:
    """Walk to the best values of several metrics, named by the parameters `wanted_0` and so on. Built once."""
    project_id: sa.BindParameter[int] = sa.bindparam("project_id")
    walks = []
    for place, direction in enumerate(directions):
        number = (
            sa.select(_KEY.c.id)
            .where(_KEY.c.project_id == project_id, _KEY.c.name == sa.bindparam(f"wanted_{place}"))
            .scalar_subquery()
        )
        walk = (
            sa.select(sa.literal_column(str(place)).label("place"), _LATEST.c.candidate_iid, _LATEST.c.value)
            .where(_LATEST.c.project_id == project_id, _LATEST.c.key_id == number, ~_LATEST.c.is_nan)
            .order_by(_LATEST.c.value.desc() if direction is Better.HIGHER else _LATEST.c.value)
            .limit(_WALKED)
        )
        walks.append(sa.select(walk.subquery()))
    return sa.union_all(*walks).subquery()


def job_failed(project_id: ProjectId) -> sa.ColumnElement[bool]:
    """Return whether the job that made a candidate failed or was canceled; for queries of very many candidates."""
    return _failed_jobs(project_id).exists()


def _failed_jobs(project_id: ProjectId) -> sa.Select[int]:
    of_job = sa.and_(_JOB.c.project_id == _LINK.c.project_id, _JOB.c.id == _LINK.c.job_id)
    return (
        sa.select(sa.literal(1))
        .select_from(_LINK.join(_JOB, of_job))
        .where(
            _LINK.c.project_id == project_id,
            _LINK.c.candidate_iid == _T.c.iid,
            _LINK.c.part == JobPart.CREATOR,
            _JOB.c.status.in_(FAILED_JOB),
        )
        .correlate(_T)
    )


@dataclass(frozen=True, slots=True)
class CandidateJob:
    """A job that made a candidate or added to it, with what GitLab last said about it; None if it was not asked yet."""

    candidate_iid: int
    part: JobPart
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


def newest(tx: Transaction, experiment_iid: int, stages: Sequence[Stage], *, limit: int) -> list[int]:
    """List the numbers of the newest candidates."""
    query = sa.select(_T.c.iid).where(
        _T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages)
    )
    return list(tx.execute(query.order_by(_T.c.started_ms.desc(), _T.c.eid).limit(limit)).scalars())


def count(tx: Transaction, experiment_iid: int, stages: Sequence[Stage], *, most: int) -> int:
    """Count an experiment's candidates, up to one more than `most`."""
    query = sa.select(sa.literal(1)).where(
        _T.c.project_id == tx.project_id, _T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages)
    )
    found: int = tx.execute(sa.select(sa.func.count()).select_from(query.limit(most + 1).subquery())).scalar_one()
    return found


def count_matching(
    tx: Transaction,
    experiment_iid: int,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    *,
    also: Sequence[sa.ColumnElement[bool]],
    few: Sequence[int] | None,
    most: int,
) -> int:
    """Count the candidates that match, among the `few` that can, or else among the `most` newest ones."""
    within = [_T.c.project_id == tx.project_id, *_within(experiment_iid, stages, looked_up_by_number=few is not None)]
    conditions = [*(matches(clause, tx.project_id) for clause in clauses), *also]
    if few is None:
        newest = sa.select(_T.c.iid).where(*within).order_by(_T.c.started_ms.desc(), _T.c.eid).limit(most)
        among = [_T.c.project_id == tx.project_id, _T.c.iid.in_(newest)]
    else:
        among = [*within, _T.c.iid.in_(few)]
    query = sa.select(sa.func.count()).select_from(_T).where(*among, *conditions)
    found: int = tx.execute(query).scalar_one()
    return found


def counts(tx: Transaction, experiment_iids: Sequence[int], stages: Sequence[Stage], *, most: int) -> dict[int, int]:
    """Count the candidates of several experiments in one statement, each up to one more than `most`."""
    parts = [
        sa.select(
            sa.literal(iid).label("iid"),
            sa.select(sa.func.count())
            .select_from(
                sa.select(sa.literal(1))
                .where(_T.c.project_id == tx.project_id, _T.c.experiment_iid == iid, _T.c.stage.in_(stages))
                .limit(most + 1)
                .subquery()
            )
            .scalar_subquery(),
        )
        for iid in experiment_iids
    ]
    return {row[0]: row[1] for row in tx.execute(sa.union_all(*parts))} if parts else {}


def count_tagged(tx: Transaction, key: str, value: str, *, most: int) -> int:
    """Count the candidates that have a tag with a short value, up to `most`. The tag must be indexed."""
    tag = schema.candidate_tag
    query = sa.select(sa.literal(1)).where(
        # As a range, since SQLite would otherwise prefer to scan all rows of the project.
        tag.c.project_id == tx.project_id,
        tag.c.key == key,
        schema.is_indexed(tag),
        tag.c.value_start.between(value, value),
    )
    found: int = tx.execute(sa.select(sa.func.count()).select_from(query.limit(most).subquery())).scalar_one()
    return found


def metric_names(tx: Transaction, candidate_iids: Iterable[int]) -> list[str]:
    """List the names of the metrics that some candidates have, each once."""
    # Another index has the keys in order, but must not be scanned for that.
    ids = sa.select(unindexed(_LATEST.c.key_id)).where(
        _LATEST.c.project_id == tx.project_id, _LATEST.c.candidate_iid.in_(list(candidate_iids))
    )
    query = sa.select(_KEY.c.name).where(_KEY.c.project_id == tx.project_id, _KEY.c.id.in_(ids.distinct()))
    return list(tx.execute(query.order_by(_KEY.c.name)).scalars())


def params_that_differ(tx: Transaction, candidate_iids: Iterable[int]) -> dict[str, bool]:
    """List the parameters of some candidates by name, each with whether its values differ."""
    table = schema.param
    key = unindexed(table.c.key).label("name")  # as in `metric_names`
    differs = sa.func.min(table.c.value) != sa.func.max(table.c.value)
    query = sa.select(key, differs.label("differs")).where(
        table.c.project_id == tx.project_id, table.c.candidate_iid.in_(list(candidate_iids))
    )
    return dict(sorted((row.name, bool(row.differs)) for row in tx.execute(query.group_by(key))))


def metric_values(tx: Transaction, candidate_iids: Iterable[int], names: Sequence[str]) -> dict[int, dict[str, float]]:
    """Fetch the latest values of some metrics."""
    query = (
        sa.select(_LATEST.c.candidate_iid, _KEY.c.name, _LATEST.c.value, _LATEST.c.is_nan)
        .join(_KEY, (_KEY.c.project_id == _LATEST.c.project_id) & (_KEY.c.id == _LATEST.c.key_id))
        .where(
            _LATEST.c.project_id == tx.project_id,
            _LATEST.c.candidate_iid.in_(list(candidate_iids)),
            _KEY.c.name.in_(names),
        )
    )
    found: dict[int, dict[str, float]] = {}
    for iid, name, value, is_nan in tx.execute(query):
        found.setdefault(iid, {})[name] = NAN if is_nan else value
    return found


def param_values(tx: Transaction, candidate_iids: Iterable[int], names: Sequence[str]) -> dict[int, dict[str, str]]:
    """Fetch some parameters."""
    return _pairs(tx, schema.param, candidate_iids, names)


def tag_values(tx: Transaction, candidate_iids: Iterable[int], names: Sequence[str]) -> dict[int, dict[str, str]]:
    """Fetch some tags."""
    return _pairs(tx, schema.candidate_tag, candidate_iids, names)


def made_by(tx: Transaction, candidate_iids: Iterable[int]) -> list[CandidateJob]:
    """Fetch the jobs of some candidates, with their pipelines; the creator of each candidate comes last."""
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
            _LINK.c.project_id == tx.project_id,
            _LINK.c.candidate_iid.in_(list(candidate_iids)),
        )
        .order_by(_LINK.c.candidate_iid, _LINK.c.part.desc(), _LINK.c.verified, _LINK.c.job_id)
    )
    return [CandidateJob(iid, JobPart(part), *rest) for iid, part, *rest in tx.execute(query)]


def _pairs(
    tx: Transaction, table: sa.Table, candidate_iids: Iterable[int], names: Sequence[str]
) -> dict[int, dict[str, str]]:
    query = sa.select(table.c.candidate_iid, table.c.key, table.c.value).where(
        table.c.project_id == tx.project_id, table.c.candidate_iid.in_(list(candidate_iids)), table.c.key.in_(names)
    )
    found: dict[int, dict[str, str]] = {}
    for iid, key, value in tx.execute(query):
        found.setdefault(iid, {})[key] = value
    return found
