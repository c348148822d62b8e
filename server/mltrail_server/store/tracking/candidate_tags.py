"""Tags of candidates, which GitLab calls metadata."""

from collections.abc import Iterable, Mapping
from functools import cache

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.statements import Statement, add_or_change
from mltrail_server.store.db.transaction import Transaction

from .params import pairs_of

_T = schema.candidate_tag
_OWN = schema.own_tag


_TOGETHER = 24
"""Up to this many tags, enough for a new run, are stored by one statement on SQLite, too. Python's driver lets other
threads run before each statement, and then has to wait for them while the database is locked.
"""
_NAMES = tuple((f"key_{number}", f"value_{number}") for number in range(_TOGETHER))
"""The names of that statement's parameters."""


def put(tx: Transaction, candidate_iid: int, tags: Mapping[str, str]) -> None:
    """Store tags; a key that exists gets the new value."""
    if tx.dialect == "sqlite" and 0 < len(tags) <= _TOGETHER:
        given: dict[str, object] = {"candidate_iid": candidate_iid}
        for (key_name, value_name), (key, value) in zip(_NAMES, tags.items(), strict=False):
            given[key_name], given[value_name] = key, value
        tx.run(_putting(len(tags)), **given)
        return
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    tx.upsert(_T, [owner | {"key": key, "value": value} for key, value in tags.items()], update=["value"])


@cache
def _putting(count: int) -> Statement:
    """Build the statement that stores `count` tags of a candidate."""
    owner: dict[str, object] = {name: sa.bindparam(name) for name in ("project_id", "candidate_iid")}
    rows = [owner | {"key": sa.bindparam(key), "value": sa.bindparam(value)} for key, value in _NAMES[:count]]
    return Statement(lambda dialect: add_or_change(dialect, _T, rows, ["value"]), name="tracking.candidate_tags.put")


def put_all(tx: Transaction, candidate_iids: Iterable[int], tags: Mapping[str, str]) -> None:
    """Store the same tags with several candidates, in one statement."""
    rows = [
        {"project_id": tx.project_id, "candidate_iid": iid, "key": key, "value": value}
        for iid in candidate_iids
        for key, value in tags.items()
    ]
    tx.upsert(_T, rows, update=["value"])


def delete(tx: Transaction, candidate_iid: int, key: str) -> bool:
    """Remove a tag, and return whether it existed."""
    where = (_T.c.project_id == tx.project_id, _T.c.candidate_iid == candidate_iid, _T.c.key == key)
    return tx.execute(sa.delete(_T).where(*where)).rowcount > 0


def of(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """Fetch the tags of several candidates in one statement, by key."""
    return pairs_of(tx, _T, candidate_iids)


def own(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Fetch the tags of candidates as their own jobs set them, whatever others have written since."""
    iids = list(candidate_iids)
    found = {iid: dict(tags) for iid, tags in of(tx, iids).items()}
    query = sa.select(_OWN.c.candidate_iid, _OWN.c.key, _OWN.c.value).where(
        _OWN.c.project_id == tx.project_id, _OWN.c.candidate_iid.in_(iids)
    )
    for iid, key, value in tx.execute(query):
        if value is None:
            found.get(iid, {}).pop(key, None)
        else:
            found.setdefault(iid, {})[key] = value
    return found


def get(tx: Transaction, candidate_iid: int, key: str) -> str | None:
    query = sa.select(_T.c.value).where(
        _T.c.project_id == tx.project_id, _T.c.candidate_iid == candidate_iid, _T.c.key == key
    )
    return tx.execute(query).scalar()
