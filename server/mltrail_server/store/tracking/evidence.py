"""Amendments, snapshots, and the tags that a candidate's own jobs set.

Amendments are what others have written to a candidate, and a snapshot is what it was before a later job. Each has a
number from the candidates' counter, but no candidate: it is stored in the same tables as what is logged to candidates.
So a search never finds it, and the code that reads and writes a candidate's data works for it, too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain import paths
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files

_LATEST = schema.latest_metric
_METRIC = schema.metric
_TAG = schema.candidate_tag
_OWN = schema.own_tag
_TABLES = (
    schema.param,
    _LATEST,
    schema.candidate_dataset,
    schema.candidate_dataset_tag,
    schema.candidate_model,
)


def next_number(tx: Transaction) -> int:
    """Take a number for an amendment or a snapshot."""
    return tx.next_number("candidate")


def take_snapshot(tx: Transaction, candidate_iid: int, *, folders: dict[str, str], to: int) -> None:
    """Copy a candidate as it is now to a snapshot number: latest values and extremes of each metric, parameters, tags
    as its own jobs set them, inputs and outputs, and the files in `folders`, which maps each folder to the one of its
    copy.
    """
    for table in _TABLES:
        _copy(tx, table, candidate_iid, to)
    # Only the extremes of a history are ever judged.
    of_one = (_METRIC.c.project_id == tx.project_id, _METRIC.c.candidate_iid == candidate_iid)
    ends = (
        sa.select(
            _METRIC.c.key_id, sa.func.min(_METRIC.c.value).label("low"), sa.func.max(_METRIC.c.value).label("high")
        )
        .where(*of_one, _METRIC.c.is_nan.is_(sa.false()))
        .group_by(_METRIC.c.key_id)
        .subquery()
    )
    _copy(
        tx,
        _METRIC,
        candidate_iid,
        to,
        sa.exists().where(
            ends.c.key_id == _METRIC.c.key_id,
            _METRIC.c.is_nan.is_(sa.false()),
            sa.or_(_METRIC.c.value == ends.c.low, _METRIC.c.value == ends.c.high),
        ),
    )
    touched = sa.select(_OWN.c.key).where(_OWN.c.project_id == tx.project_id, _OWN.c.candidate_iid == candidate_iid)
    _copy(tx, _TAG, candidate_iid, to, _TAG.c.key.not_in(touched))
    kept = sa.select(_OWN.c.project_id, sa.literal(to), _OWN.c.key, _OWN.c.value).where(
        _OWN.c.project_id == tx.project_id, _OWN.c.candidate_iid == candidate_iid, _OWN.c.value.is_not(None)
    )
    tx.execute(sa.insert(_TAG).from_select(["project_id", "candidate_iid", "key", "value"], kept))
    for folder, copy in folders.items():
        files.copy(tx, files.below(tx, folder), source=folder, target=copy)


def forget(tx: Transaction, beside_iid: int) -> None:
    """Remove all that is stored under an amendment's or a snapshot's number."""
    for table in (*_TABLES, _METRIC, _TAG):
        tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id, table.c.candidate_iid == beside_iid))
    files.delete(tx, paths.beside(beside_iid))


def _copy(tx: Transaction, table: sa.Table, source: int, to: int, *which: sa.ColumnElement[bool]) -> None:
    names = [column.name for column in table.columns if column.computed is None]
    columns = [sa.literal(to) if name == "candidate_iid" else table.c[name] for name in names]
    rows = sa.select(*columns).where(table.c.project_id == tx.project_id, table.c.candidate_iid == source, *which)
    tx.execute(sa.insert(table).from_select(names, rows))


_AMENDMENT = schema.amendment


@dataclass(frozen=True, slots=True)
class Amendment:
    """What one person or job has written to a candidate that is not theirs. `kinds` are words to show to people."""

    user_name: str
    job_id: int | None
    kinds: tuple[str, ...]
    first_ms: int
    last_ms: int


def add_amendment(
    tx: Transaction, candidate_iid: int, user_name: str, job_id: int | None, kinds: Iterable[str]
) -> None:
    """Note a write, and add its kinds to those of the same writer."""
    key = {"project_id": tx.project_id, "candidate_iid": candidate_iid, "user_name": user_name, "job_id": job_id or 0}
    where = [_AMENDMENT.c[name] == value for name, value in key.items()]
    before = tx.execute(sa.select(_AMENDMENT.c.kinds, _AMENDMENT.c.first_ms).where(*where)).one_or_none()
    known = set(before.kinds.split(", ")) if before else set()
    row = key | {
        "kinds": ", ".join(sorted(known | set(kinds))),
        "first_ms": before.first_ms if before else tx.now,
        "last_ms": tx.now,
    }
    tx.upsert(_AMENDMENT, [row], update=["kinds", "last_ms"])


def amendments(tx: Transaction, candidate_iid: int) -> list[Amendment]:
    """Fetch who has written to a candidate, in the order in which they began."""
    query = sa.select(
        _AMENDMENT.c.user_name, _AMENDMENT.c.job_id, _AMENDMENT.c.kinds, _AMENDMENT.c.first_ms, _AMENDMENT.c.last_ms
    ).where(_AMENDMENT.c.project_id == tx.project_id, _AMENDMENT.c.candidate_iid == candidate_iid)
    return [
        Amendment(row.user_name, row.job_id or None, tuple(row.kinds.split(", ")), row.first_ms, row.last_ms)
        for row in tx.execute(query.order_by(_AMENDMENT.c.first_ms, _AMENDMENT.c.user_name, _AMENDMENT.c.job_id))
    ]


def keep_tags(tx: Transaction, candidate_iid: int, keys: Iterable[str]) -> None:
    """Keep what its own jobs set, before others set or delete these tags. What was kept before is left alone."""
    wanted = sorted(set(keys))
    query = sa.select(_TAG.c.key, _TAG.c.value).where(
        _TAG.c.project_id == tx.project_id, _TAG.c.candidate_iid == candidate_iid, _TAG.c.key.in_(wanted)
    )
    given: dict[str, str] = {key: value for key, value in tx.execute(query)}  # noqa: C416 - rows are no pairs to mypy
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    tx.upsert(_OWN, [owner | {"key": key, "value": given.get(key)} for key in wanted])


def follow_tags(tx: Transaction, candidate_iid: int, tags: Mapping[str, str | None]) -> None:
    """Update what is kept when its own jobs set (or delete: None) these tags later."""
    query = sa.select(_OWN.c.key).where(
        _OWN.c.project_id == tx.project_id, _OWN.c.candidate_iid == candidate_iid, _OWN.c.key.in_(list(tags))
    )
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    kept = tx.execute(query).scalars().all()
    tx.upsert(_OWN, [owner | {"key": key, "value": tags[key]} for key in kept], update=["value"])
