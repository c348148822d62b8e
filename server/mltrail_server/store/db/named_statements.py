"""Statements by name. Each begins with a comment that names the function or constant of the store that it comes from,
`/* mltrail: tracking.metrics.add */`: `pg_stat_activity` and PostgreSQL's own log show it. One that takes long is
logged by that name, never with its values.

The comment is the same each time, so that the drivers go on preparing a statement only once.
"""

import logging
import math
import re
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from mltrail_server.telemetry.tracing import TRACING

_log = logging.getLogger(__name__)
_STORE = "mltrail_server.store."
_DB = f"{_STORE}db."
_DEEPEST = 40
_IN_COMMENT = re.compile(r"[^\w.]", re.ASCII)


class SlowStatements:
    """What a process does about statements that take longer than `seconds`: all of them if there are traces."""

    def __init__(self) -> None:
        self.seconds = math.inf
        self._slow_from = math.inf
        self.observe: Callable[[str], None] = _unobserved
        """Called with the name of each."""

    def limit(self, milliseconds: float) -> None:
        """Set from when on a statement is slow; 0 means never."""
        self._slow_from = milliseconds / 1000 or math.inf
        self.seconds = self._slow_from if TRACING.tracer is None else 0.0

    def trace(self) -> None:
        """Report every statement to this process's traces, if there are any."""
        if TRACING.tracer is not None:
            self.seconds = 0.0

    def report(self, name: str, seconds: float, cursor: Any) -> None:  # noqa: ANN401 - a cursor of either driver
        """Trace a statement, if there are traces; log it, if it was slow. The log adds the call that it belongs to."""
        if TRACING.tracer is not None:
            TRACING.record(name, seconds, {"db.query.summary": name})
        if seconds <= self._slow_from:
            return
        rows = getattr(cursor, "rowcount", -1)  # SQLite does not know how many it will find
        fields: dict[str, Any] = {"statement": name, "ms": round(1000 * seconds)}
        if rows >= 0:
            fields["rows"] = rows
        known = f", {rows} rows" if rows >= 0 else ""
        _log.warning("slow statement %s: %d ms%s", name, fields["ms"], known, extra={"fields": fields})
        self.observe(name)


def _unobserved(_name: str) -> None:
    """Ignore it: nobody has asked for it."""


SLOW_STATEMENTS = SlowStatements()


def commented(sql: str, name: str) -> str:
    return f"/* mltrail: {name} */ {sql}"


def name_of(module: str, thing: str) -> str:
    """Name a statement after what it is in the store: `tracking.metrics.latest`."""
    named = f"{module.removeprefix(_STORE)}.{thing.partition('.<locals>')[0].strip('_').lower()}"
    return _IN_COMMENT.sub("_", named)


def name_queries(engine: sa.Engine) -> None:
    """Name the statements that SQLAlchemy runs after the function that built them, and watch how long they take."""
    event.listen(engine, "do_execute", _execute)
    event.listen(engine, "do_executemany", _execute_many)


def _execute(cursor: Any, sql: str, given: Any, _context: object) -> bool:  # noqa: ANN401 - the driver's
    return _run(cursor, cursor.execute, sql, given)


def _execute_many(cursor: Any, sql: str, given: Any, _context: object) -> bool:  # noqa: ANN401 - the driver's
    return _run(cursor, cursor.executemany, sql, given)


def _run(cursor: Any, execute: Callable[[str, Any], object], sql: str, given: Any) -> bool:  # noqa: ANN401 - the driver's
    name = _caller(sys._getframe(3))  # noqa: SLF001 - the documented name
    began = time.perf_counter()
    try:
        execute(commented(sql, name), given)
    finally:
        seconds = time.perf_counter() - began
        if seconds > SLOW_STATEMENTS.seconds:
            SLOW_STATEMENTS.report(name, seconds, cursor)
    return True  # it has been executed


def _caller(frame: FrameType | None) -> str:
    """Find the function of the store that runs a query; what all of them share in `store/db` only if there is none."""
    shared = "other"
    for _ in range(_DEEPEST):
        if frame is None:
            break
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_STORE):
            name = name_of(module, frame.f_code.co_qualname)
            if not module.startswith(_DB):
                return name
            if shared == "other":
                shared = name
        frame = frame.f_back
    return shared
