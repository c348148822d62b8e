"""The history and latest value of every metric, also for logged models.

What a call may cost: nothing for names that this process knows, then two statements on SQLite and one on PostgreSQL,
whatever the number of points. SQLAlchemy's executemany takes 2 us per row for its dictionaries, as long as SQLite takes
for the row itself, so rows are passed to the driver as tuples; PostgreSQL gets each column as one array.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
KEEP_NEWER = (
    " ON CONFLICT (project_id, candidate_iid, key_id) DO UPDATE SET step = excluded.step,"
    " timestamp_ms = excluded.timestamp_ms, value = excluded.value, is_nan = excluded.is_nan"
    " WHERE (excluded.step, excluded.timestamp_ms, excluded.value)"
    " > (latest_metric.step, latest_metric.timestamp_ms, latest_metric.value)"
)
_VALUES = ":project_id, :candidate_iid, :key_id, :step, :timestamp_ms, :value, :is_nan"
_SQLITE_HISTORY = Statement(sa.text(f"INSERT INTO metric ({_COLUMNS}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING"))  # noqa: S608
_SQLITE_LATEST = Statement(sa.text(f"INSERT INTO latest_metric ({_COLUMNS}) VALUES ({_VALUES})" + KEEP_NEWER))  # noqa: S608
_ADD_ON_POSTGRESQL = Statement(
    sa.text(
        f"WITH sent ({_COLUMNS}) AS (SELECT CAST(:project_id AS BIGINT), CAST(:candidate_iid AS BIGINT), point.*"  # noqa: S608
        " FROM unnest(CAST(:keys AS BIGINT[]), CAST(:steps AS BIGINT[]), CAST(:times AS BIGINT[]),"
        " CAST(:numbers AS DOUBLE PRECISION[]), CAST(:nans AS BOOLEAN[])) AS point),"
        f" history AS (INSERT INTO metric ({_COLUMNS}) SELECT * FROM sent ON CONFLICT DO NOTHING)"
        f" INSERT INTO latest_metric ({_COLUMNS}) SELECT DISTINCT ON (key_id) * FROM sent"
        " ORDER BY key_id, step DESC, timestamp_ms DESC, value DESC, is_nan DESC" + KEEP_NEWER
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
_NO_LIMIT = 2**62
_BY_TIME = (_T.c.timestamp_ms, _T.c.step, _T.c.value, _T.c.is_nan)
_AFTER = ("after_ms", "after_step", "after_value", "after_nan")
_OF_KEY = (
    sa.select(sa.case((~_T.c.is_nan, _T.c.value)), _T.c.timestamp_ms, _T.c.step)
    .where(
        _T.c.project_id == sa.bindparam("project_id"),
        _T.c.candidate_iid == sa.bindparam("candidate_iid"),
        _T.c.key_id == sa.bindparam("key_id"),
    )
    .order_by(*_BY_TIME)
    .limit(sa.bindparam("limit"))
)
_HISTORY = Statement(_OF_KEY)
_HISTORY_AFTER = Statement(
    _OF_KEY.where(
        sa.tuple_(*_BY_TIME)
        > sa.tuple_(*(sa.bindparam(name, type_=column.type) for name, column in zip(_AFTER, _BY_TIME, strict=True)))
    )
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
        _, _, keys, steps, times, values, nans = map(array_of, zip(*rows, strict=True))
        columns = {"keys": keys, "steps": steps, "times": times, "numbers": values, "nans": nans}
        tx.run(_ADD_ON_POSTGRESQL, candidate_iid=candidate_iid, **columns)
        return
    latest = list({row[2]: row for row in rows}.values())
    tx.run_many(_SQLITE_HISTORY, rows)
    tx.run_many(_SQLITE_LATEST, latest)


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


def history(
    tx: Transaction,
    candidate_iid: int,
    key: str,
    *,
    limit: int | None = None,
    after: tuple[int, int, float, bool] | None = None,
) -> list[Reading]:
    """Fetch a metric's values by (timestamp, step, value, NaN or not); `after` is that key of the last one seen."""
    number = find(tx, [key]).get(key)
    if number is None:
        return []
    given = {"candidate_iid": candidate_iid, "key_id": number, "limit": _NO_LIMIT if limit is None else limit}
    if after is None:
        return tx.all(_HISTORY, **given)
    return tx.all(_HISTORY_AFTER, **given, **dict(zip(_AFTER, after, strict=True)))


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
