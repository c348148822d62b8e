"""One import into a project at a time: two would copy each file twice, and get in each other's way."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from mltrail_server.domain.errors import conflict
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.db.database import Database

_LOCK = 0x6D6C696D << 32  # "mlim": any numbers that no other program locks in this database


@contextmanager
def alone(database: Database, project_id: ProjectId) -> Iterator[None]:
    """Keep other imports out of a project while the block runs; a kill ends that, too. Raises CONFLICT."""
    busy = conflict(f"Another import into project {project_id} is running. Wait until it is done, then run it again.")
    if database.is_sqlite:
        opened = os.open(f"{database.engine.url.database}-imports", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.lockf(opened, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, project_id)  # each project has its byte
            except (BlockingIOError, PermissionError) as error:
                raise busy from error
            yield
        finally:
            os.close(opened)
        return
    number = _LOCK + project_id
    with database.engine.connect() as connection:  # of its own: the lock is the session's
        if not connection.execute(sa.select(sa.func.pg_try_advisory_lock(number))).scalar_one():
            raise busy
        connection.commit()
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(number)))
            connection.commit()
