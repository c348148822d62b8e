"""What the operator wants to know about all projects together."""

from dataclasses import dataclass
from typing import TypeVarTuple

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.statements import insert_into

Columns = TypeVarTuple("Columns")

_DUE, _REQUEST, _BLOB, _COUNTER = schema.due, schema.merge_request, schema.blob, schema.counter
_NO_PROJECT, _LAST_BACKUP = 0, "last backup"


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the worker has not got round to yet: how much of a kind, and since when."""

    due: int
    since_ms: int


def waiting(connection: sa.Connection, *, now: int) -> dict[str, Backlog]:
    """Find what is due and not claimed, by kind."""
    free = sa.or_(_DUE.c.claimed_until_ms.is_(None), _DUE.c.claimed_until_ms <= now)
    query = sa.select(_DUE.c.kind, sa.func.count(), sa.func.min(_DUE.c.due_ms)).where(_DUE.c.due_ms <= now, free)
    rows = connection.execute(_of_all(query.group_by(_DUE.c.kind)))
    return {kind: Backlog(due, since) for kind, due, since in rows}


def keep_backup(connection: sa.Connection, *, ended_ms: int) -> None:
    """Keep when the last backup ended, as a counter of no project."""
    insert = insert_into(connection.dialect.name, _COUNTER).values(
        project_id=_NO_PROJECT, name=_LAST_BACKUP, value=ended_ms
    )
    keys = [_COUNTER.c.project_id, _COUNTER.c.name]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_={"value": ended_ms}))


def last_backup(connection: sa.Connection) -> int | None:
    """Return when the last backup ended, in milliseconds."""
    query = sa.select(_COUNTER.c.value).where(_COUNTER.c.project_id == _NO_PROJECT, _COUNTER.c.name == _LAST_BACKUP)
    return connection.execute(query).scalar_one_or_none()


def notes_not_posted(connection: sa.Connection) -> int:
    """Count the merge requests whose note could not be written. Reads one row per merge request."""
    notes = sa.select(sa.func.count()).select_from(_REQUEST).where(_REQUEST.c.note_problem.is_not(None))
    return connection.execute(_of_all(notes)).scalar_one()


def stored_bytes(connection: sa.Connection) -> int:
    """Add up all files, including bytes that wait for garbage collection. Reads one row per file."""
    return int(connection.execute(_of_all(sa.select(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0)))).scalar_one())


def _of_all(query: sa.Select[*Columns]) -> sa.Select[*Columns]:
    return query.execution_options(all_projects=True)
