"""What the operator wants to know about all projects together."""

from dataclasses import dataclass
from typing import TypeVarTuple

import sqlalchemy as sa

from mltrail_server.store import schema

Columns = TypeVarTuple("Columns")

_DUE, _REQUEST, _BLOB = schema.due, schema.merge_request, schema.blob


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the worker has not got round to yet: how much, and since when."""

    due: int
    since_ms: int | None


def waiting(connection: sa.Connection, *, now: int) -> Backlog:
    free = sa.or_(_DUE.c.claimed_until_ms.is_(None), _DUE.c.claimed_until_ms <= now)
    query = sa.select(sa.func.count(), sa.func.min(_DUE.c.due_ms)).where(_DUE.c.due_ms <= now, free)
    return Backlog(*connection.execute(_of_all(query)).one())


def notes_not_posted(connection: sa.Connection) -> int:
    """Count the merge requests whose note could not be written. Reads one row per merge request."""
    notes = sa.select(sa.func.count()).select_from(_REQUEST).where(_REQUEST.c.note_problem.is_not(None))
    return connection.execute(_of_all(notes)).scalar_one()


def stored_bytes(connection: sa.Connection) -> int:
    """Add up all files, including bytes that wait for garbage collection. Reads one row per file."""
    return int(connection.execute(_of_all(sa.select(sa.func.coalesce(sa.func.sum(_BLOB.c.size), 0)))).scalar_one())


def _of_all(query: sa.Select[*Columns]) -> sa.Select[*Columns]:
    return query.execution_options(all_projects=True)
