"""A wire to a database on another machine: `python -m benchmarks.machines.wire PORT TARGET_PORT MICROSECONDS`.

It hands on all that arrives at a port, later by half of that time each way. (`tc qdisc add … netem` would do it where
the kernel has that module.) It sleeps in between, so what it takes of a processor is what handing on costs: some 30
microseconds a message, in each server's figures alike for each round trip.
"""

import ctypes
import select
import socket
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_PR_SET_TIMERSLACK = 29  # https://man7.org/linux/man-pages/man2/PR_SET_TIMERSLACK.2const.html
_MOST = 1 << 18
_TRIES = 2000


class _Wire:
    def __init__(self, port: int, target: int, seconds: float) -> None:
        self._target = target
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._other: dict[socket.socket, socket.socket] = {}
        self._waiting: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        while True:
            patience = max(0.0, self._waiting[0][0] - time.perf_counter()) if self._waiting else None
            ready, _, _ = select.select([self._listener, *self._other], [], [], patience)
            now = time.perf_counter()
            for one in ready:
                if one is self._listener:
                    self._connect()
                elif one in self._other:
                    self._take(one, now)
            while self._waiting and self._waiting[0][0] <= time.perf_counter():
                self._deliver(*self._waiting.popleft()[1:])

    def _connect(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._other[one] = other

    def _take(self, one: socket.socket, now: float) -> None:
        try:
            data = one.recv(_MOST)
        except ConnectionError:
            data = b""
        other = self._other[one]
        if not data:
            del self._other[one]
        self._waiting.append((now + self._seconds, other, data))

    def _deliver(self, to: socket.socket, data: bytes) -> None:
        try:
            if data:
                to.sendall(data)
            else:
                to.shutdown(socket.SHUT_WR)
        except OSError:  # the other end has gone meanwhile
            self._other.pop(to, None)


@contextmanager
def wire(url: str, port: int, milliseconds: float) -> Iterator[tuple[str, float]]:
    """Yield the URL of a PostgreSQL at the end of a wire, and the milliseconds that `SELECT 1` then takes more: as many
    as are asked for, if the wire itself takes less.
    """
    direct = round_trip(url)
    head, _, rest = url.rpartition("@")
    host, _, database = rest.partition("/")
    through = f"{head}@127.0.0.1:{port}/{database}"
    target = int(host.rpartition(":")[2])
    with _running(port, target, 0.0):
        itself = round_trip(through) - direct
    with _running(port, target, max(milliseconds - itself, 0.0)):
        yield through, round_trip(through) - direct


def round_trip(url: str) -> float:
    """Measure how many milliseconds `SELECT 1` takes."""
    import psycopg  # noqa: PLC0415 - the wire itself needs none

    taken = []
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        for _ in range(_TRIES):
            begun = time.perf_counter()
            connection.execute("SELECT 1")
            taken.append(time.perf_counter() - begun)
    return statistics.median(taken) * 1000


@contextmanager
def _running(port: int, target: int, milliseconds: float) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.machines.wire", str(port), str(target), str(milliseconds * 1000)]
    process = subprocess.Popen(command)
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("the wire has ended")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    _Wire(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 2e6).run()
