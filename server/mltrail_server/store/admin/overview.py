"""What the operator wants to know of all projects together. The only statements that look at every project's rows."""

from dataclasses import dataclass
from typing import TypeVarTuple

import sqlalchemy as sa

from mltrail_server.store import schema

Columns = TypeVarTuple("Columns")

_DUE, _REQUEST, _BLOB = schema.due, schema.merge_request, schema.blob


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the worker has not come to."""

    due: int
    since_ms: int | None


def waiting(connection: sa.Connection, *, now: int) -> Waiting:
    free = sa.or_(_DUE.c.claimed_until_ms.is_(None), _DUE.c.claimed_until_ms <= now)
    query = sa.select(sa.func.count(), sa.func.min(_DUE.c.due_ms)).where(_DUE.c.due_ms <= now, free)
    return Waiting(*connection.execute(_of_all(query)).one())


def notes_not_posted(connection: sa.Connection) -> int:
    """Count the merge requests whose note could not be written. Reads a row a merge request."""
    notes = sa.select(sa.func.count()).select_from(_REQUEST).where(_REQUEST.c.note_problem.is_not(None))
    return connection.execute(_of_all(notes)).scalar_one()


def stored_bytes(connection: sa.Connection) -> int:
    """Add up all files, bytes that wait for garbage collection included. Reads a row a file."""
    return int(connection.execute(_of_all(sa.select(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0)))).scalar_one())


def _of_all(query: sa.Select[*Columns]) -> sa.Select[*Columns]:
    return query.execution_options(all_projects=True)
