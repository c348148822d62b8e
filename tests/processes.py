"""What tests need that start processes: a port for each, how long to wait for it, and whether it still lives."""

import fcntl
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE_SECONDS = 300.0
"""How long a busy machine may take for what an idle one does in a few seconds."""

_PORTS = range(15_000, 32_000)
_CHOICE = random.SystemRandom()
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port() -> int:
    """Choose a port that nothing listens on.

    It is below those that systems hand out by themselves. One of these would be taken by anybody's connection while
    the server is away, and a client that tries such a port again and again may even be connected to itself. Tests that
    run beside these choose among other ports.
    """
    while True:
        number = _CHOICE.choice(_PORTS[_WORKER::_WORKERS])
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", number))
            return number


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
