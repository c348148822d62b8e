"""Tags of candidates, which GitLab calls metadata."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

from .params import pairs_of

_T = schema.candidate_tag
_OWN = schema.own_tag


def put(tx: Transaction, candidate_iid: int, tags: Mapping[str, str]) -> None:
    """Store tags; a key that exists gets the new value."""
    owner = {"project_id": tx.project_id, "candidate_iid": candidate_iid}
    tx.upsert(_T, [owner | {"key": key, "value": value} for key, value in tags.items()], update=["value"])


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
