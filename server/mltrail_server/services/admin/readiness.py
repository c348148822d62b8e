"""Whether a server can take calls."""

import threading

from mltrail_server.domain.errors import MltrailError, unavailable
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db import migrate
from mltrail_server.telemetry import calls

SECONDS = 3.0
"""How long database and file store may take together. Health checks usually wait for 4 or 5 s."""


class Readiness:
    """A database that hangs, unlike one that is gone, lets a call wait for ever. So the check has a thread of its own,
    and while it waits, no second one is started: it would wait, too, and take one more connection from calls.
    """

    def __init__(self, deps: Deps, *, seconds: float = SECONDS) -> None:
        self._deps = deps
        self._seconds = seconds
        self._lock = threading.Lock()
        self._look: _Look | None = None

    def check(self) -> None:
        """Raise UNAVAILABLE unless database and file store answer in time, and the schema is one that this version can
        run on. A later version may have migrated the database while this server is running: a balancer then sends it
        no more calls.
        """
        if self._deps.db.is_sqlite:  # nothing to wait for, and it has a connection for each thread
            _check(self._deps)
            return
        with self._lock:
            if self._look is None or self._look.ended.is_set():
                self._look = _Look(self._deps)
            look = self._look
        if not look.ended.wait(self._seconds):
            raise unavailable(f"Database or file store have not responded within {self._seconds:g} s.")
        if look.error is not None:
            raise look.error


class _Look:
    def __init__(self, deps: Deps) -> None:
        self.ended = threading.Event()
        self.error: Exception | None = None
        self._deps = deps
        self._call = calls.current()
        threading.Thread(target=self._run, name="readiness", daemon=True).start()

    def _run(self) -> None:
        calls.resume(self._call)
        try:
            _check(self._deps)
        except Exception as error:  # noqa: BLE001 - who waits for it raises it
            self.error = error
        finally:
            self.ended.set()


def _check(deps: Deps) -> None:
    try:
        migrate.check_can_run(deps.db)
    except MltrailError as error:
        raise unavailable(error.message) from error
    deps.files.ping()
