"""Browser sessions, by the hash of their id."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store import schema

_T = schema.web_session


@dataclass(frozen=True, slots=True)
class WebSession:
    sealed: str
    refresh_ms: int


def add(connection: sa.Connection, id_sha256: str, *, sealed: str, refresh_ms: int, expires_ms: int, now: int) -> None:
    """Begin a session, and delete those that have ended."""
    connection.execute(sa.delete(_T).where(_T.c.expires_ms <= now))
    values = {"id_sha256": id_sha256, "sealed": sealed, "refresh_ms": refresh_ms, "expires_ms": expires_ms}
    connection.execute(sa.insert(_T).values(claimed_until_ms=0, **values))


def get(connection: sa.Connection, id_sha256: str, *, now: int) -> WebSession | None:
    query = sa.select(_T.c.sealed, _T.c.refresh_ms).where(_T.c.id_sha256 == id_sha256, _T.c.expires_ms > now)
    row = connection.execute(query).one_or_none()
    return None if row is None else WebSession(row.sealed, row.refresh_ms)


def claim(connection: sa.Connection, id_sha256: str, *, now: int, until_ms: int) -> bool:
    """Claim the right to refresh a session's token, which only one of several processes gets."""
    free = (_T.c.id_sha256 == id_sha256, _T.c.claimed_until_ms <= now, _T.c.refresh_ms <= now)
    return connection.execute(sa.update(_T).where(*free).values(claimed_until_ms=until_ms)).rowcount == 1


def put(connection: sa.Connection, id_sha256: str, *, sealed: str, refresh_ms: int) -> None:
    values = {"sealed": sealed, "refresh_ms": refresh_ms, "claimed_until_ms": 0}
    connection.execute(sa.update(_T).where(_T.c.id_sha256 == id_sha256).values(**values))


def delete(connection: sa.Connection, id_sha256: str) -> None:
    connection.execute(sa.delete(_T).where(_T.c.id_sha256 == id_sha256))
