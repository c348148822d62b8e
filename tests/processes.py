"""What tests need that start processes: a port for each, how to wait for it, and whether it still lives."""

import fcntl
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import urllib3

_T = TypeVar("_T")

PATIENCE_SECONDS = 300.0
"""How long a busy machine may take for what an idle one does in a few seconds."""

_PORTS = range(15_000, 32_000)
_CHOICE = random.SystemRandom()
_GIVEN: set[int] = set()
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """Choose a port that nothing listens on.

    It is below those that systems hand out by themselves. One of these would be taken by anybody's connection while
    the server is away, and a client that tries such a port again and again may even be connected to itself. Tests that
    run beside these choose among other ports. None is given twice: its server may not listen yet, or be away.
    """
    while True:
        number = _CHOICE.choice(_PORTS[_WORKER::_WORKERS])
        if number in _GIVEN:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            _GIVEN.add(number)
            return number


def wait_until(
    condition: Callable[[], _T | None],
    what: str,
    *,
    process: "subprocess.Popen[Any] | None" = None,
    log: Path | None = None,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.05,
) -> _T:
    """Wait until a condition returns something true, and return that.

    It fails, and shows the log, if that takes too long, or if the process on which it depends ends before.
    """
    until, tick = time.monotonic() + seconds, threading.Event()
    while True:
        # Asked before: what a process does last, it may do after a look and before this one.
        has_ended, is_late = process is not None and process.poll() is not None, time.monotonic() >= until
        if found := condition():
            return found
        assert not has_ended, f"the process has ended, so never: {what}{_said(log)}"
        assert not is_late, f"{seconds} s were not enough: {what}{_said(log)}"
        tick.wait(every)


def _said(log: Path | None) -> str:
    return "" if log is None else f"\n{log.read_text(errors='replace')}"


def status(url: str) -> int:
    """The status of the response to a GET; 0 where nothing listens."""
    try:
        with urllib3.PoolManager() as pool:  # of its own, so that no connection is kept
            return pool.request("GET", url, retries=False, timeout=30).status
    except urllib3.exceptions.HTTPError:
        return 0


def lives(pid: int) -> bool:
    """Whether a process runs. One that nobody has asked for its exit code runs no more: in a container there may
    be nobody who asks.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep other test processes from filling the same folder, which is kept between runs, at the same time."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
