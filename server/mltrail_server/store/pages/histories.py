"""The histories of a run's metrics in brief: first, lowest and highest value, and their course in a few parts."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

_T = schema.metric


@dataclass(slots=True)
class HistorySummary:
    """What a history's numbers are, without NaN. `parts` has the lowest and the highest value of each of up to `most`
    parts of the same length, in the order of steps, or of time where all have the same step; parts without a value are
    left out.
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
    """Sum up the histories of some metrics, by their key IDs, in two or three statements that read all their values.

    The index has them in the order of steps and times, so each part is a range of it that is read without sorting.
    """
    spans = sa.select(
        _T.c.key_id,
        sa.func.count(),
        sa.func.min(_T.c.step),
        sa.func.max(_T.c.step),
        sa.func.min(_T.c.timestamp_ms),
        sa.func.max(_T.c.timestamp_ms),
    ).where(*_of(tx, candidate_iid, key_ids), ~_T.c.is_nan)
    found: dict[int, HistorySummary] = {}
    of_steps: list[_Range] = []
    of_times: list[_Range] = []
    for key_id, count, first, last, began, ended in tx.execute(spans.group_by(_T.c.key_id)):
        found[key_id] = HistorySummary(count)
        parts = min(most, count)
        if first < last:
            of_steps += [(key_id, first, *ends) for ends in _cut(first, last, parts)]
        else:
            of_times += [(key_id, first, *ends) for ends in _cut(began, ended, parts)]
    for key_id, low, high, value in (
        *_extremes(tx, candidate_iid, of_steps, of_times=False),
        *_extremes(tx, candidate_iid, of_times, of_times=True),
    ):
        one = found[key_id]
        one.first = one.first if one.parts else value
        one.parts.append((low, high))
    return found


_Range = tuple[int, int, int, int]
"""A metric, its first step, and the first and last step or time of a part."""


def _cut(first: int, last: int, parts: int) -> list[tuple[int, int]]:
    """Cut whole numbers into parts of the same length."""
    ends = [first + (last - first + 1) * part // parts for part in range(parts + 1)]
    return [(start, end - 1) for start, end in pairwise(ends) if start < end]


def _extremes(
    tx: Transaction, candidate_iid: int, ranges: Sequence[_Range], *, of_times: bool
) -> list[tuple[int, float, float, float]]:
    """Fetch the metric, the lowest, the highest and the first value of each range that has one, in their order."""
    if not ranges:
        return []
    wanted, given = _sent(tx, ranges)
    within = (_T.c.timestamp_ms if of_times else _T.c.step).between(wanted["start"], wanted["end"])
    inside = sa.select(_T.c.value).where(
        _T.c.project_id == tx.project_id,
        _T.c.candidate_iid == candidate_iid,
        _T.c.key_id == wanted["key_id"],
        *([_T.c.step == wanted["step"]] if of_times else []),
        within,
        ~_T.c.is_nan,
    )
    query = sa.select(
        wanted["number"],
        wanted["key_id"],
        inside.with_only_columns(sa.func.min(_T.c.value)).scalar_subquery(),
        inside.with_only_columns(sa.func.max(_T.c.value)).scalar_subquery(),
        inside.order_by(_T.c.step, _T.c.timestamp_ms).limit(1).scalar_subquery(),
    )
    return [(key_id, *rest) for _, key_id, *rest in sorted(tx.execute(query, given)) if None not in rest]


def _sent(tx: Transaction, ranges: Sequence[_Range]) -> tuple[dict[str, sa.ColumnElement[Any]], dict[str, object]]:
    """Return the columns of a table of the numbered ranges, and the parameters that send it."""
    names = ("number", "key_id", "step", "start", "end")
    rows = [(number, *one) for number, one in enumerate(ranges)]
    columns: dict[str, sa.ColumnElement[Any]]
    if tx.dialect == "postgresql":
        arrays = [sa.cast(sa.bindparam(name), postgresql.ARRAY(sa.BigInteger)) for name in names]
        table = sa.func.unnest(*arrays).table_valued(*names).render_derived()
        columns = {name: table.c[name] for name in names}
        return columns, {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}
    one = sa.func.json_each(sa.bindparam("ranges")).table_valued("value").c.value
    columns = {name: sa.func.json_extract(one, f"$[{place}]") for place, name in enumerate(names)}
    return columns, {"ranges": json.dumps(rows)}


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
