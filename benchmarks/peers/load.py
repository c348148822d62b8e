"""Load: some clients that call a server, each waiting for the response before it calls again.

One thread with non-blocking sockets, so that 32 clients cost no more than one, and the generator is never what is
measured (`python -m benchmarks.peers` prints its own ceiling).
"""

import re
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Call = Callable[[int, int], bytes]
"""Makes the bytes of a request from the number of its client and the number of the call."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_PATIENCE_SECONDS = 30


class LoadError(Exception):
    """A server responded wrongly: then its figures mean nothing."""


@dataclass
class Sample:
    """How long each of a number of calls took, in milliseconds."""

    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    received: int = 0

    @property
    def per_second(self) -> float:
        return len(self.milliseconds) / self.seconds

    def quantile(self, share: float) -> float:
        """Return the time within which `share` of the calls finished."""
        ordered = sorted(self.milliseconds)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def request(
    method: str, path: str, *, host: str, headers: dict[str, str], body: bytes = b"", kind: str = "application/json"
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if method != "GET":
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def load(  # noqa: C901 - one loop, as fast as it can be
    address: tuple[str, int],
    call: Call,
    *,
    clients: int = 1,
    seconds: float = 0.0,
    calls: int = 0,
    answered: Callable[[int, int, bytes], None] | None = None,
) -> Sample:
    """Call for some seconds, or a number of times in all. `answered` gets client, number of its call, and the body.

    Raises `LoadError` for any answer but 200.
    """
    sample = Sample()
    connections = [_Connection(number, address, keep=answered is not None) for number in range(clients)]
    by_file = {connection.fileno: connection for connection in connections}
    poll = select.epoll()
    sent = 0
    begun = time.perf_counter()
    for connection in connections:
        connection.send(call(connection.number, 0))
        poll.register(connection.fileno, select.EPOLLIN | (select.EPOLLOUT if connection.unsent else 0))
        sent += 1
    waiting = clients
    while waiting:
        ready = poll.poll(_PATIENCE_SECONDS)
        if not ready:
            raise LoadError(f"no answer within {_PATIENCE_SECONDS} s")
        for fileno, what in ready:
            connection = by_file[fileno]
            if what & select.EPOLLOUT:
                connection.go_on()
                if not connection.unsent:
                    poll.modify(fileno, select.EPOLLIN)
            if not what & select.EPOLLIN or not connection.receive(sample):
                continue
            if answered is not None:
                answered(connection.number, connection.answered - 1, bytes(connection.body))
            over = time.perf_counter() - begun > seconds if seconds else sent >= calls
            if over:
                waiting -= 1
                poll.unregister(fileno)
                connection.close()
            else:
                connection.send(call(connection.number, connection.answered))
                if connection.unsent:
                    poll.modify(fileno, select.EPOLLIN | select.EPOLLOUT)
                sent += 1
    sample.seconds = time.perf_counter() - begun
    poll.close()
    return sample


class _Connection:
    def __init__(self, number: int, address: tuple[str, int], *, keep: bool) -> None:
        self.number = number
        self.body = bytearray()
        self._keep = keep
        self.answered = 0
        self.unsent = memoryview(b"")
        self._socket = socket.create_connection(address)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self.fileno = self._socket.fileno()
        self._sent_at = 0.0
        self._begin_answer()

    def _begin_answer(self) -> None:
        self._head = b""
        self._missing = 0
        self._chunked = False
        self._end = b""

    def send(self, data: bytes) -> None:
        self._sent_at = time.perf_counter()
        self.unsent = memoryview(data)
        self.go_on()

    def go_on(self) -> None:
        try:
            self.unsent = self.unsent[self._socket.send(self.unsent) :]
        except BlockingIOError:
            return

    def receive(self, sample: Sample) -> bool:
        """Take in what arrived; return whether the response is complete now."""
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return False
        if not data:
            raise LoadError("the server closed the connection")
        sample.received += len(data)
        if not self._take(data):
            return False
        sample.milliseconds.append((time.perf_counter() - self._sent_at) * 1000)
        self.answered += 1
        self._begin_answer()
        return True

    def _take(self, data: bytes) -> bool:
        if not self._missing and not self._chunked:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return False
            if not head.startswith(b"HTTP/1.1 200"):
                raise LoadError((head + b"\n\n" + data)[:1000].decode(errors="replace"))
            self._chunked = bool(_CHUNKED.search(head))
            length = _LENGTH.search(head)
            self._missing = int(length[1]) if length else 0
            self.body = bytearray()
        if self._keep:
            self.body += data
        if self._chunked:
            self._end = (self._end + data)[-5:]
            return self._end == b"0\r\n\r\n"
        self._missing -= len(data)
        return self._missing <= 0

    def close(self) -> None:
        self._socket.close()
