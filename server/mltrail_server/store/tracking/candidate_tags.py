"""Tags of candidates, which GitLab calls metadata."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import schema
from mltrail_server.store.db.statements import upsert

from .params import pairs_of

_T = schema.candidate_tag
_OWN = schema.own_tag


def put(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, tags: Mapping[str, str]) -> None:
    """Store tags; a key that is there gets the new value."""
    owner = {"project_id": project_id, "candidate_iid": candidate_iid}
    upsert(connection, _T, [owner | {"key": key, "value": value} for key, value in tags.items()], update=["value"])


def put_all(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int], tags: Mapping[str, str]
) -> None:
    """Store the same tags with several candidates, in one statement."""
    rows = [
        {"project_id": project_id, "candidate_iid": iid, "key": key, "value": value}
        for iid in candidate_iids
        for key, value in tags.items()
    ]
    upsert(connection, _T, rows, update=["value"])


def delete(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, key: str) -> bool:
    """Remove a tag, and tell whether it was there."""
    where = (_T.c.project_id == project_id, _T.c.candidate_iid == candidate_iid, _T.c.key == key)
    return connection.execute(sa.delete(_T).where(*where)).rowcount > 0


def of(
    connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]
) -> dict[int, list[tuple[str, str]]]:
    """Fetch the tags of several candidates in one statement, by key."""
    return pairs_of(connection, _T, project_id, candidate_iids)


def own(connection: sa.Connection, project_id: ProjectId, candidate_iids: Iterable[int]) -> dict[int, dict[str, str]]:
    """Fetch the tags of candidates as their own jobs have given them, whatever others have written since."""
    iids = list(candidate_iids)
    found = {iid: dict(tags) for iid, tags in of(connection, project_id, iids).items()}
    query = sa.select(_OWN.c.candidate_iid, _OWN.c.key, _OWN.c.value).where(
        _OWN.c.project_id == project_id, _OWN.c.candidate_iid.in_(iids)
    )
    for iid, key, value in connection.execute(query):
        if value is None:
            found.get(iid, {}).pop(key, None)
        else:
            found.setdefault(iid, {})[key] = value
    return found


def get(connection: sa.Connection, project_id: ProjectId, candidate_iid: int, key: str) -> str | None:
    query = sa.select(_T.c.value).where(
        _T.c.project_id == project_id, _T.c.candidate_iid == candidate_iid, _T.c.key == key
    )
    return connection.execute(query).scalar()
