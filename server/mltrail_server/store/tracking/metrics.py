"""The history and latest value of every metric, also for logged models.

What a call may cost: nothing for names that this process knows, then two statements on SQLite and one on PostgreSQL,
whatever the number of points. SQLAlchemy's executemany takes 2 us per row for its dictionaries, as long as SQLite takes
for the row itself, so rows are passed to the driver as tuples; PostgreSQL gets each column as one array.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa

from mltrail_server.domain.candidate import Point
from mltrail_server.store import schema
from mltrail_server.store.db.planner import unindexed
from mltrail_server.store.db.statements import Statement
from mltrail_server.store.db.transaction import Transaction

from .metric_keys import find

_KEY = schema.metric_key
_T = schema.metric
_LATEST = schema.latest_metric
NAN = float("nan")

Stored = tuple[int, int, int, int, int, float, bool]
"""A row of `metric`: project, candidate, key, step, timestamp (ms), value, NaN or not. Sorted, a key's last row is
its latest: by step, time and value, where a NaN counts as the 0 that it is stored as, in MLflow too."""

Reading = tuple[float | None, int, int]
"""A value of a history, as the driver makes it: the value (None for NaN), timestamp (ms), step. A page has tens of
thousands, so that one more object for each would be noticeable."""

_COLUMNS = "project_id, candidate_iid, key_id, step, timestamp_ms, value, is_nan"
_NEWER = (
    "(excluded.step, excluded.timestamp_ms, excluded.value)"
    " > (latest_metric.step, latest_metric.timestamp_ms, latest_metric.value)"
)
_KEEP_NEWER = (
    " ON CONFLICT (project_id, candidate_iid, key_id) DO UPDATE SET"
    + "".join(
        f" {name} = CASE WHEN {_NEWER} THEN excluded.{name} ELSE latest_metric.{name} END,"
        for name in ("step", "timestamp_ms", "value", "is_nan")
    )
    + " unordered_appends = COALESCE(latest_metric.unordered_appends, 1) + CASE WHEN excluded.unordered_appends = 0"
    " AND {first_step} >= latest_metric.step AND {first_ms} >= latest_metric.timestamp_ms THEN 0 ELSE 1 END"
)
_VALUES = ":project_id, :candidate_iid, :key_id, :step, :timestamp_ms, :value, :is_nan"
_SQLITE_HISTORY = Statement(sa.text(f"INSERT INTO metric ({_COLUMNS}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING"))  # noqa: S608
_SQLITE_LATEST = Statement(
    sa.text(
        f"INSERT INTO latest_metric ({_COLUMNS}, unordered_appends) VALUES ({_VALUES}, :unordered)"  # noqa: S608
        + _KEEP_NEWER.format(first_step=":first_step", first_ms=":first_ms")
    )
)
KEEP_LATEST = (
    f"INSERT INTO latest_metric ({_COLUMNS}, unordered_appends) SELECT DISTINCT ON (key_id) {_COLUMNS},"  # noqa: S608
    " CAST(:unordered AS BIGINT) FROM sent WHERE EXISTS (SELECT 1 FROM history)"
    " ORDER BY key_id, step DESC, timestamp_ms DESC, value DESC, is_nan DESC"
    + _KEEP_NEWER.format(
        first_step="COALESCE(CAST(:first_step AS BIGINT), excluded.step)",
        first_ms="COALESCE(CAST(:first_ms AS BIGINT), excluded.timestamp_ms)",
    )
)
"""PostgreSQL's part of a statement that keeps the latest of the rows `sent`, if `history` has added any of them. Its
parameters are those of `order_of`.
"""
_ADD_ON_POSTGRESQL = Statement(
    sa.text(
        f"WITH sent ({_COLUMNS}) AS (SELECT CAST(:project_id AS BIGINT), CAST(:candidate_iid AS BIGINT), point.*"  # noqa: S608
        " FROM unnest(CAST(:keys AS BIGINT[]), CAST(:steps AS BIGINT[]), CAST(:times AS BIGINT[]),"
        " CAST(:numbers AS DOUBLE PRECISION[]), CAST(:nans AS BOOLEAN[])) AS point),"
        f" history AS (INSERT INTO metric ({_COLUMNS}) SELECT * FROM sent ON CONFLICT DO NOTHING"
        " RETURNING key_id) " + KEEP_LATEST
    )
)
_LATEST_OF = (
    sa.select(
        _LATEST.c.candidate_iid, _KEY.c.name, _LATEST.c.value, _LATEST.c.is_nan, _LATEST.c.timestamp_ms, _LATEST.c.step
    )
    .join(_KEY, (_KEY.c.project_id == _LATEST.c.project_id) & (_KEY.c.id == _LATEST.c.key_id))
    .where(
        _LATEST.c.project_id == sa.bindparam("project_id"),
        _LATEST.c.candidate_iid.in_(sa.bindparam("candidate_iids", expanding=True)),
    )
    .order_by(_LATEST.c.candidate_iid, _KEY.c.name)
)


def append(tx: Transaction, candidate_iid: int, points: Iterable[Point], *, numbers: Mapping[str, int]) -> None:
    """Add points to the history, where exact repetitions are stored once, and keep the latest of each key.

    `numbers` holds the number of each key, see `metric_keys.make`.
    """
    rows: list[Stored] = sorted(
        {(tx.project_id, candidate_iid, numbers[key], step, at, *stored(value)) for key, value, at, step in points}
    )
    if rows:
        append_stored(tx, candidate_iid, rows)


def append_stored(tx: Transaction, candidate_iid: int, rows: Sequence[Stored]) -> None:
    """Do the same with rows of one candidate as they are stored: sorted, distinct, and at least one."""
    if tx.dialect == "postgresql":
        _, _, keys, steps, times, values, nans = zip(*rows, strict=True)
        columns = {"keys": keys, "steps": steps, "times": times, "numbers": values, "nans": nans}
        arrays = {name: array_of(column) for name, column in columns.items()}
        tx.run(_ADD_ON_POSTGRESQL, candidate_iid=candidate_iid, **arrays, **order_of(keys, steps, times))
        return
    latest = {row[2]: row for row in rows}
    first, falling = latest, set[int]()
    if len(latest) < len(rows):
        first = {row[2]: row for row in reversed(rows)}
        falling = {after[2] for before, after in pairwise(rows) if after[4] < before[4] and after[2] == before[2]}
    if not tx.run_many(_SQLITE_HISTORY, rows):
        return  # all of it was there already
    tx.run_many(_SQLITE_LATEST, [(*row, key in falling, first[key][3], first[key][4]) for key, row in latest.items()])


def order_of(keys: Sequence[int], steps: Sequence[int], times: Sequence[int]) -> dict[str, str | None]:
    """Return where a batch's first point is, and whether its times may fall as steps rise: the parameters of
    `KEEP_LATEST`. With several points of a metric this is said of the batch as a whole, and so may be said of a metric
    of which it is not true, which costs its readers a check. No `ON CONFLICT` could look up more.
    """
    if len(set(keys)) == len(keys):
        return {"first_step": None, "first_ms": None, "unordered": "0"}
    in_order = sorted(times)
    falls = in_order != list(times) or sorted(steps) != list(steps)
    if falls:
        falls = [at for _, at in sorted(zip(steps, times, strict=True))] != in_order
    return {"first_step": str(min(steps)), "first_ms": str(in_order[0]), "unordered": str(int(falls))}


def array_of(values: Iterable[float]) -> str:
    """Write numbers as a PostgreSQL array; the driver would look at each of them several times."""
    return f"{{{','.join(map(repr, values))}}}"


def latest_of(
    tx: Transaction, candidate_iids: Iterable[int], *, keys: Iterable[str] | None = None, most: int | None = None
) -> dict[int, list[Point]]:
    """Fetch the latest values of several candidates in one statement, by key: only of the metrics in `keys`, if given,
    and at most `most` values in all.
    """
    given: dict[str, object] = {"project_id": tx.project_id, "candidate_iids": list(candidate_iids)}
    query = _LATEST_OF if most is None else _LATEST_OF.limit(most)
    if keys is not None:
        query = query.where(unindexed(_LATEST.c.key_id).in_(list(find(tx, list(keys)).values())))
    found: dict[int, list[Point]] = {}
    for iid, key, value, is_nan, timestamp_ms, step in tx.execute(query, given).all():
        found.setdefault(iid, []).append(Point(key, NAN if is_nan else value, timestamp_ms, step))
    return found


def stored(value: float) -> tuple[float, bool]:
    """Return a value as it is stored: SQLite has no NaN, which is a 0 with a mark."""
    return (0.0, True) if value != value else (value, False)  # noqa: PLR0124 - only NaN differs from itself


@dataclass(frozen=True, slots=True)
class ModelPoint:
    model_id: str
    point: Point
    dataset_name: str = ""
    dataset_digest: str = ""


def sources_of(tx: Transaction, model_ids: Iterable[str]) -> dict[str, str]:
    """Return which candidates made these logged models, by MLflow run id; "" if none did, or if somebody other than the
    candidate's own jobs logged it. Models that do not exist are left out.
    """
    table = schema.logged_model
    query = sa.select(table.c.model_id, table.c.source_eid, table.c.beside).where(
        table.c.project_id == tx.project_id, table.c.model_id.in_(list(model_ids))
    )
    return {row.model_id: "" if row.beside else row.source_eid for row in tx.execute(query)}


def append_to_models(tx: Transaction, eid: str, points: Sequence[ModelPoint], *, beside: Container[str]) -> None:
    """Store points of logged models, which must exist. Those of the models in `beside` are kept, but not shown."""
    rows: dict[tuple[object, ...], dict[str, object]] = {}
    for one in points:
        value, is_nan = stored(one.point.value)
        rows[(one.model_id, one.point.key, one.point.step, one.point.timestamp_ms)] = {
            "project_id": tx.project_id,
            "model_id": one.model_id,
            "key": one.point.key,
            "eid": eid,
            "step": one.point.step,
            "timestamp_ms": one.point.timestamp_ms,
            "dataset_name": one.dataset_name,
            "dataset_digest": one.dataset_digest,
            "value": value,
            "is_nan": is_nan,
            "beside": one.model_id in beside,
        }
    tx.upsert(schema.logged_model_metric, rows.values(), update=["value", "is_nan"])
