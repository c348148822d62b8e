"""The histories of a run's metrics in brief: first, lowest and highest value, and their course in a few parts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.metric


@dataclass(slots=True)
class HistorySummary:
    """What a history's numbers are, without NaN. `parts` has the lowest and the highest value of each of up to `most`
    parts with the same number of values, in the order of steps, or of time where all have the same step.
    """

    count: int = 0
    first: float = 0.0
    parts: list[tuple[float, float]] = field(default_factory=list)

    @property
    def low(self) -> float:
        return min(low for low, _ in self.parts)

    @property
    def high(self) -> float:
        return max(high for _, high in self.parts)


def size(tx: Transaction, candidate_iid: int, key_ids: Sequence[int], *, most: int) -> int:
    """Count the values of some metrics, up to one more than `most`."""
    query = sa.select(sa.literal(1)).where(*_of(tx, candidate_iid, key_ids)).limit(most + 1)
    found: int = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    return found


def summaries(tx: Transaction, candidate_iid: int, key_ids: Sequence[int], *, most: int) -> dict[int, HistorySummary]:
    """Sum up some histories by the numbers of their metrics, in one statement that reads all their values."""
    place = sa.func.row_number().over(partition_by=_T.c.key_id, order_by=(_T.c.step, _T.c.timestamp_ms))
    count = sa.func.count().over(partition_by=_T.c.key_id)
    ranked = (
        sa.select(_T.c.key_id, _T.c.value, (place - 1).label("place"), count.label("count"))
        .where(*_of(tx, candidate_iid, key_ids), ~_T.c.is_nan)
        .subquery()
    )
    part = ranked.c.place * most // sa.case((ranked.c.count > most, ranked.c.count), else_=most)
    # A column of its own: PostgreSQL takes an expression with parameters for another one each time it is written.
    cut = sa.select(ranked.c.key_id, ranked.c.value, ranked.c.place, part.label("part")).subquery()
    first = sa.func.max(sa.case((cut.c.place == 0, cut.c.value)))
    query = sa.select(cut.c.key_id, sa.func.count(), first, sa.func.min(cut.c.value), sa.func.max(cut.c.value))
    by = (cut.c.key_id, cut.c.part)
    found: dict[int, HistorySummary] = {}
    for key_id, number, value, low, high in tx.execute(query.group_by(*by).order_by(*by)):
        one = found.setdefault(key_id, HistorySummary())
        one.count += number
        one.parts.append((low, high))
        if value is not None:
            one.first = value
    return found


def steps_of(tx: Transaction, candidate_iid: int, values: Mapping[int, float]) -> dict[int, int]:
    """Return the first step at which each metric had a value."""
    if not values:
        return {}
    either = sa.or_(*(sa.and_(_T.c.key_id == key_id, _T.c.value == value) for key_id, value in values.items()))
    query = sa.select(_T.c.key_id, sa.func.min(_T.c.step)).where(
        *_of(tx, candidate_iid, list(values)), ~_T.c.is_nan, either
    )
    return {row[0]: row[1] for row in tx.execute(query.group_by(_T.c.key_id))}


def _of(tx: Transaction, candidate_iid: int, key_ids: Sequence[int]) -> tuple[sa.ColumnElement[bool], ...]:
    return _T.c.project_id == tx.project_id, _T.c.candidate_iid == candidate_iid, _T.c.key_id.in_(key_ids)
