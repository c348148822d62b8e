"""The best value of metrics among all candidates that match, whatever page they are on.

Small experiments are looked through. In large ones the index that has each metric's values in order is walked from its
best end, a bounded way: it holds the values of all experiments of the project, and few may be this one's.
"""

from collections.abc import Mapping, Sequence
from functools import cache

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.direction import Better
from mltrail_server.domain.filters import Clause
from mltrail_server.domain.ids import ProjectId

from . import schema
from .jobs import Part
from .search_clauses import matches

_T = schema.candidate
_KEY = schema.metric_key
_LATEST = schema.latest_metric
_LINK = schema.candidate_job
_JOB = schema.job
_WALKED = 100

FAILED_JOB = ("failed", "canceled")
FAILED = (Status.FAILED, Status.KILLED)


def best(
    connection: sa.Connection,
    project_id: ProjectId,
    experiment_iid: int,
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    *,
    wanted: Mapping[str, Better],
    small: bool,
) -> dict[str, float]:
    """Find the best value of each metric, in one statement; a run that failed, or whose job did, does not count.

    A metric is left out where nothing that matches has it or, unless the experiment is `small`, where none of its 100
    best values in the project is of a run that matches.
    """
    if not wanted:
        return {}
    counts = (
        _T.c.project_id == project_id,
        _T.c.status.not_in(FAILED),
        ~_job_failed(project_id),
        *(matches(clause, project_id) for clause in clauses),
    )
    if small:
        within = (_T.c.experiment_iid == experiment_iid, _T.c.stage.in_(stages))
        query = _looked_through(project_id, wanted, sa.select(_T.c.iid).where(*counts, *within))
        return _chosen({name: (low, high) for name, low, high in connection.execute(query)}, wanted)
    # As in `search_walks`: an expression, so that SQLite looks the few candidates up by their numbers.
    within = (_T.c.experiment_iid + 0 == experiment_iid, (_T.c.stage + 0).in_(stages))
    names = list(wanted)
    top = _walks(tuple(wanted.values()))
    found = (
        sa.select(top.c.place, sa.func.max(top.c.value), sa.func.min(top.c.value))
        .join_from(top, _T, _T.c.iid == top.c.candidate_iid)
        .where(*counts, *within)
        .group_by(top.c.place)
    )
    given = {"project_id": project_id, **{f"wanted_{place}": name for place, name in enumerate(names)}}
    return _chosen({names[place]: (low, high) for place, high, low in connection.execute(found, given)}, wanted)


def _chosen(extremes: Mapping[str, tuple[float, float]], wanted: Mapping[str, Better]) -> dict[str, float]:
    return {name: high if wanted[name] is Better.HIGHER else low for name, (low, high) in extremes.items()}


def _looked_through(
    project_id: ProjectId, wanted: Mapping[str, Better], candidate_iids: sa.Select[int]
) -> sa.Select[str, float, float]:
    # `+ 0`, so that SQLite looks the candidates up instead of walking all of the project's values by their keys.
    named = sa.and_(_KEY.c.project_id == _LATEST.c.project_id, _KEY.c.id == _LATEST.c.key_id + 0)
    return (
        sa.select(_KEY.c.name, sa.func.min(_LATEST.c.value), sa.func.max(_LATEST.c.value))
        .select_from(_LATEST.join(_KEY, named))
        .where(
            _LATEST.c.project_id == project_id,
            _LATEST.c.candidate_iid.in_(candidate_iids),
            ~_LATEST.c.is_nan,
            (_KEY.c.name + "").in_(wanted),
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


def _job_failed(project_id: ProjectId) -> sa.ColumnElement[bool]:
    of_job = sa.and_(_JOB.c.project_id == _LINK.c.project_id, _JOB.c.id == _LINK.c.job_id)
    return (
        sa.select(sa.literal(1))
        .select_from(_LINK.join(_JOB, of_job))
        .where(
            _LINK.c.project_id == project_id,
            _LINK.c.candidate_iid == _T.c.iid,
            _LINK.c.part == Part.CREATOR,
            _JOB.c.status.in_(FAILED_JOB),
        )
        .correlate(_T)
        .exists()
    )
