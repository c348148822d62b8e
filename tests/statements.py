"""The statements that a server sends to its database."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import sqlalchemy as sa
from sqlalchemy import event

from mltrail_server.services.context.deps import Deps

Counter = Callable[[], AbstractContextManager[list[str]]]


@contextmanager
def statements_of(deps: Deps) -> Iterator[list[str]]:
    """Collect the statements that are sent while the block runs, without BEGIN and COMMIT."""
    seen: list[str] = []

    def note(_connection: sa.Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    event.listen(deps.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(deps.db.engine, "before_cursor_execute", note)
