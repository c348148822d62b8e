"""How to walk to a page of candidates. The planners of SQLite and PostgreSQL can't know which clause hits few rows, so
we look: a count that stops at a thousand costs less than a millisecond, and a wrong guess a scan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.domain.ids import ProjectId

from . import schema
from .schema.base import VALUE_START
from .search_clauses import key_id, newest_value, pair_value

_T = schema.candidate
_MOST_CLAUSES = 8


@dataclass(frozen=True, slots=True)
class Sizes:
    """From where on a walk is cheaper than a sort.

    `few` candidates that a clause leaves, and `small` experiments, are sorted; an index is walked past more.
    """

    few: int = 1000
    small: int = 5000


@dataclass(frozen=True, slots=True)
class Plan:
    """`iids`: the only candidates that can match, when they are few. `small`: the experiments hold few candidates."""

    iids: list[int] | None = None
    small: bool = False


def choose(
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    newest_first: bool,
    sizes: Sizes,
) -> Plan:
    """Choose in no more than two statements."""
    within = (_T.c.project_id == project_id, _T.c.experiment_iid.in_(experiment_iids), _T.c.stage.in_(stages))
    hits = [hit for clause in clauses if (hit := _hits(clause, project_id)) is not None][:_MOST_CLAUSES]
    if newest_first and not hits:
        return Plan()
    sized = [_count(hit, sizes.few) for hit in hits]
    counts = connection.execute(sa.select(_count(sa.select(sa.literal(1)).where(*within), sizes.small), *sized)).one()
    fewest = min(range(len(hits)), key=lambda place: counts[place + 1], default=None)
    if fewest is not None and counts[fewest + 1] <= min(sizes.few, counts[0]):
        return Plan(iids=[row[0] for row in connection.execute(hits[fewest])])
    return Plan(small=counts[0] <= sizes.small)


def _count(query: sa.Select[Any], limit: int) -> sa.ScalarSelect[int]:
    return sa.select(sa.func.count()).select_from(query.limit(limit + 1).subquery()).scalar_subquery()


def _hits(clause: Clause, project_id: ProjectId) -> sa.Select[Any] | None:
    """Select the candidates that a clause matches, in all experiments, when an index holds them together."""
    if clause.entity is Entity.METRIC and clause.operator != "!=":
        table = schema.latest_metric
        where = [table.c.key_id == key_id(project_id, clause.key), newest_value(clause)]
        if clause.operator == "=":
            where.append(_is(table.c.value, clause.value))
    elif clause.entity in (Entity.PARAM, Entity.TAG) and clause.operator == "=" and isinstance(clause.value, str):
        table = schema.param if clause.entity is Entity.PARAM else schema.candidate_tag
        start = _is(table.c.value_start, clause.value[:VALUE_START])
        where = [table.c.key == clause.key, start, pair_value(table, clause)]
    elif clause.entity is Entity.ATTRIBUTE and clause.key == "run_id" and clause.operator in ("=", "IN"):
        values = clause.value if isinstance(clause.value, tuple) else (clause.value,)
        return sa.select(_T.c.iid).where(_T.c.project_id == project_id, _T.c.eid.in_(values))
    else:
        return None
    return sa.select(table.c.candidate_iid).where(table.c.project_id == project_id, *where)


def _is(column: sa.ColumnElement[Any], value: object) -> sa.ColumnElement[bool]:
    """Say `=` as a range: without statistics SQLite takes all rows of the project for fewer than those of one value."""
    return column.between(value, value)
