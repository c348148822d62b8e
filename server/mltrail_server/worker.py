"""The loop that reconciles with GitLab whatever is due. A pass changes nothing that is already as it should be."""

import logging
import math
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from .domain.errors import Code, MltrailError
from .later import later
from .services.context.deps import Deps
from .store.ci import due
from .store.ci.due import Due
from .telemetry import calls
from .telemetry.measured import MEASURED
from .telemetry.tracing import TRACING

if TYPE_CHECKING:
    from .services.admin import garbage
    from .services.ci import poll, reconcile, without_pipeline
    from .services.ci.publish import promotion_comment, publisher
else:
    # Loaded when there is something to do, which on a quiet server is never.
    [garbage] = later(f"{__package__}.services.admin", "garbage")
    poll, reconcile, without_pipeline = later(f"{__package__}.services.ci", "poll", "reconcile", "without_pipeline")
    promotion_comment, publisher = later(f"{__package__}.services.ci.publish", "promotion_comment", "publisher")

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0
GARBAGE_SECONDS = 6 * 60 * 60.0
LEASE_MS = 120_000
_SHORTEST_WAIT_MS = 15_000
_LONGEST_WAIT_MS = 30 * 60_000
_MOST_FAILURES = 200  # about two days


_STALLED_SECONDS = 300.0
"""More than two leases: whatever takes so long hangs."""


class Progress:
    """Whether the loop goes on: it does as long as it takes items or begins passes, even if all of them fail. Before
    the first one it has not begun.
    """

    def __init__(self) -> None:
        self._last = -math.inf

    def made(self) -> None:
        self._last = time.monotonic()

    @property
    def stalled(self) -> bool:
        return time.monotonic() - self._last > _STALLED_SECONDS


PROGRESS = Progress()
"""Of this process, which runs one loop."""


def run_until_signalled(deps: Deps, *, parent: int | None = None) -> None:
    """Run until this process gets SIGTERM or SIGINT, see `run`. Call it from the main thread."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(deps, stop=stop, parent=parent)


def run(deps: Deps, *, stop: threading.Event, parent: int | None = None) -> None:
    """Reconcile until `stop` is set, or until the process `parent`, which has started this one, has ended. Errors are
    logged, and the loop continues.
    """
    threading.Thread(target=_collect_garbage, args=(deps, stop), name="garbage collection", daemon=True).start()
    while not stop.is_set() and parent in (None, os.getppid()):
        PROGRESS.made()
        try:
            run_once(deps)
            MEASURED.to.passed(failed=False)
        except MltrailError as error:  # the database is away, or another machine takes over from its own
            MEASURED.to.passed(failed=True)
            _log.warning("the worker's pass failed: %s", error.message)
        except Exception:  # noqa: BLE001 - the loop must outlive any one mistake
            MEASURED.to.passed(failed=True)
            _log.exception("the worker's pass failed; the next one starts in a moment")
        stop.wait(_PAUSE_SECONDS)


def _collect_garbage(deps: Deps, stop: threading.Event) -> None:
    """Collect garbage from time to time in its own thread: a large store takes long, and merge requests
    must not wait.
    """
    while not stop.wait(GARBAGE_SECONDS):
        try:
            garbage.collect(deps, stopped=stop.is_set)
        except Exception:  # noqa: BLE001 - as above
            _log.exception("garbage collection failed; it is tried again in some hours")


def run_once(deps: Deps) -> int:
    """Reconcile everything that is due now, and return how many items that was."""
    done = 0
    while (claimed := _claim(deps)) is not None:
        PROGRESS.made()
        one, lease_until = claimed
        with TRACING.span(f"worker {one.kind}", {"mltrail.project_id": one.project_id}):
            again = _next_look(deps, one)
        with deps.db.write() as connection:
            due.settle(connection, one, lease_until=lease_until, again_at=again)
        done += 1
    return done


def _claim(deps: Deps) -> tuple[Due, int] | None:
    now = deps.clock()
    with deps.db.write() as connection:
        one = due.claim(connection, now=now, lease_ms=LEASE_MS)
    return None if one is None else (one, now + LEASE_MS)


def _next_look(deps: Deps, one: Due) -> int | None:
    """Reconcile one item; return when to look again, or None when there is nothing left to do."""
    calls.begin().project_id = one.project_id  # its log lines, like a request's, have an ID in common
    name = f"{one.kind} {one.key} of project {one.project_id}"
    try:
        if one.kind not in (due.PIPELINE, due.REQUEST):
            again = _other(deps, one)
            MEASURED.to.looked(one.kind, "ok")
            return again
        look = reconcile.look if one.kind == due.PIPELINE else without_pipeline.look
        looked = look(deps.ci(one.project_id), one.key)
        MEASURED.to.looked(one.kind, "ok")
        if looked.settled:
            return None
        # The longer it trains, the less often we look: most of the time the end of a run is reported anyway.
        now = deps.clock()
        return now + (_between(now - one.news_ms) if looked.wait_ms is None else looked.wait_ms)
    except MltrailError as error:
        _log.warning("%s: %s", name, error.message)
        if error.code is Code.NOT_FOUND:
            return None
        wait = publisher.wait_ms(error, failures=one.attempts)
    except Exception:  # noqa: BLE001 - one bad pipeline must not keep the others waiting
        _log.exception("%s could not be reconciled", name)
        wait = _between(_SHORTEST_WAIT_MS << min(one.attempts, 10))
    MEASURED.to.looked(one.kind, "failed")
    if one.attempts >= _MOST_FAILURES:
        _log.warning("%s is given up", name)
        return None
    return deps.clock() + wait


def _other(deps: Deps, one: Due) -> int | None:
    if one.kind == due.PROJECT:
        return poll.project(deps.ci(one.project_id))
    promotion_comment.write(deps.ci(one.project_id), one.key)
    return None


def _between(milliseconds: int) -> int:
    return max(_SHORTEST_WAIT_MS, min(milliseconds, _LONGEST_WAIT_MS))
