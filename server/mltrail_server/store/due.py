"""What the worker has to look at, and when."""

import sqlalchemy as sa

from mltrail_server.domain.ids import ProjectId

from . import schema
from .sql import insert_for

_T = schema.due

PIPELINE = "pipeline"


def mark(connection: sa.Connection, project_id: ProjectId, *, kind: str, key: int, at: int) -> None:
    """Have something looked at, at the time `at` or earlier when that is planned already."""
    insert = insert_for(connection, _T).values(project_id=project_id, kind=kind, key=key, due_ms=at, attempts=0)
    earlier = sa.case((_T.c.due_ms < at, _T.c.due_ms), else_=at)
    connection.execute(
        insert.on_conflict_do_update(index_elements=[_T.c.project_id, _T.c.kind, _T.c.key], set_={"due_ms": earlier})
    )
