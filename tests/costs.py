"""What a call costs its database: the statements that it sends, and how often it waits for PostgreSQL.

Counted, not timed, so that a slow-down breaks a test on any machine.
"""

import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.pq import Trace
from sqlalchemy import event

from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db import postgresql
from tests.statements import statements_of

_WAITS = re.compile(r"^F\t\d+\t(?:Query|Sync)\b", re.MULTILINE)
"""What ends each group of messages from a client: then it waits for the answer to all of them.

https://www.postgresql.org/docs/current/protocol-flow.html
"""
_OPEN: "WeakSet[psycopg.Connection]" = WeakSet()
"""All connections to PostgreSQL that SQLAlchemy's pools have opened in this process."""


@dataclass
class Cost:
    """`statements` are without BEGIN and COMMIT. `round_trips` include theirs, and are known once the block has ended;
    SQLite, which is in the process, has none.
    """

    statements: list[str] = field(default_factory=list)
    round_trips: int = 0


Costs = Callable[[], AbstractContextManager[Cost]]


def begin() -> None:
    """Note connections from now on."""
    event.listen(sa.pool.Pool, "connect", _note)


@contextmanager
def cost_of(deps: Deps) -> Iterator[Cost]:
    """Count what the block costs.

    Make the same call a few times before: the first ones open connections, fill caches and prepare statements.
    """
    with statements_of(deps) as seen, tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        # A connection that has waited for longer is asked whether it lives, which is no cost of this call.
        patch.setattr(postgresql, "_IDLE_SECONDS", math.inf)
        cost = Cost(seen)
        with ExitStack() as traced:
            for number, connection in enumerate(_OPEN):
                if not connection.closed:
                    traced.enter_context(_traced(connection, Path(folder, str(number))))
            yield cost
        cost.round_trips = sum(
            len(_WAITS.findall(path.read_text("utf-8", "replace"))) for path in Path(folder).iterdir()
        )


@contextmanager
def _traced(connection: psycopg.Connection, path: Path) -> Iterator[None]:
    """Write down the messages of a connection: https://www.postgresql.org/docs/current/libpq-control.html#LIBPQ-PQTRACE."""
    connection.pgconn.trace(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))  # libpq keeps it open
    connection.pgconn.set_trace_flags(Trace.SUPPRESS_TIMESTAMPS | Trace.REGRESS_MODE)
    try:
        yield
    finally:
        if not connection.closed:
            connection.pgconn.untrace()


def _note(connection: Any, _record: object) -> None:
    if isinstance(connection, psycopg.Connection):
        _OPEN.add(connection)
