"""Parameters, which are written once."""

from collections.abc import Iterable, Mapping
from functools import cache

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.statements import Query
from mltrail_server.store.db.transaction import Transaction

_T = schema.param
_THERE = sa.select(_T.c.key, _T.c.value).where(
    _T.c.project_id == sa.bindparam("project_id"),
    _T.c.candidate_iid == sa.bindparam("candidate_iid"),
    _T.c.key.in_(sa.bindparam("keys", expanding=True)),
)


def add(tx: Transaction, candidate_iid: int, params: Mapping[str, str]) -> dict[str, str]:
    """Store parameters that are new. Returns the stored values of those that exist with another value: the caller then
    refuses the call, and rolls its transaction back.
    """
    if not params:
        return {}
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    if tx.upsert(_T, [owner | {"key": key, "value": value} for key, value in params.items()]) == len(params):
        return {}
    return conflicting(tx, candidate_iid, params)


def conflicting(tx: Transaction, candidate_iid: int, params: Mapping[str, str]) -> dict[str, str]:
    """Return the stored values of parameters that exist with another value."""
    there = tx.execute(_THERE, {"project_id": tx.project_id, "candidate_iid": candidate_iid, "keys": list(params)})
    return {row.key: row.value for row in there if row.value != params[row.key]}


def of(tx: Transaction, candidate_iids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """Fetch the parameters of several candidates in one statement, by key."""
    return pairs_of(tx, _T, candidate_iids)


def pairs_of(tx: Transaction, table: sa.Table, candidate_iids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
    """Fetch keys and values, of parameters or of tags."""
    given = {"project_id": tx.project_id, "candidate_iids": list(candidate_iids)}
    found: dict[int, list[tuple[str, str]]] = {}
    for row in tx.execute(_pairs(table), given).all():
        found.setdefault(row.candidate_iid, []).append((row.key, row.value))
    return found


@cache
def _pairs(table: sa.Table) -> Query:
    return (
        sa.select(table.c.candidate_iid, table.c.key, table.c.value)
        .where(
            table.c.project_id == sa.bindparam("project_id"),
            table.c.candidate_iid.in_(sa.bindparam("candidate_iids", expanding=True)),
        )
        .order_by(table.c.candidate_iid, table.c.key)
    )
