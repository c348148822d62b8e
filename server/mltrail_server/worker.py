"""The loop that reconciles with GitLab what is due. One pass changes nothing that is as it should be."""

import logging
import threading

from .services.deps import Deps

_log = logging.getLogger(__name__)
_PAUSE_SECONDS = 1.0


def run(deps: Deps, *, stop: threading.Event | None = None) -> None:
    """Reconcile until `stop` is set. An error is logged and the loop goes on."""
    stop = stop or threading.Event()
    while not stop.is_set():
        try:
            run_once(deps)
        except Exception:  # noqa: BLE001 - the loop must outlive any one mistake
            _log.exception("the worker's pass failed; the next one begins in a moment")
        stop.wait(_PAUSE_SECONDS)


def run_once(deps: Deps) -> None:
    """Reconcile everything that is due now."""
    del deps
