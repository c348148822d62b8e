"""Bodies that arrive slowly. Each occupies a thread meanwhile, so there are limits on how slow a body can be, and on
how many one caller can send.

A thread that is reading can't be interrupted. So when the time is up, a watcher responds in its place, with 408, and
closes the connection, which ends the read. A body that is on time costs only two dictionary operations.
"""

import logging
import os
import secrets
import socket
import stat
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from mltrail_server.domain.errors import Code, MltrailError

from .request_ids import REQUEST_ID

if TYPE_CHECKING:
    from types import FrameType

    from flask import Request

_log = logging.getLogger(__name__)

CALLER = "mltrail.caller"
"""The key of the caller's name in the WSGI environment, once it is known."""

SLOWEST = 16_384
"""In bytes per second, in addition to the seconds that any body may take."""

PIECE = 65_536
_SLOW_SECONDS = 1.0
_MOST_SLOW = 8
_MOST = 48
"""The most bodies of one caller in one process: those that take more than a second, and in all."""

_LOOK_SECONDS = 0.5
_HANG_UP_LOOKS, _HANG_UP_SECONDS = 200, 0.05
_HEAD = 400
"""More than the size of our response's head, in bytes."""

_MESSAGE = (
    "The body of this request arrived too slowly, so the server did not wait for the rest. Nothing was stored. Send it "
    "again over a faster connection; send large files in parts or directly to S3."
)


class SlowBodies:
    """The bodies that this process is receiving. `seconds` is the time that any body may take; 0 means no limit."""

    def __init__(self) -> None:
        self.seconds = 20.0
        self._coming: dict[int, _IncomingBody] = {}
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def read(self, request: "Request", stream: Any, size: int, before: int = 0) -> bytes:  # noqa: ANN401 - has read()
        """Read at most `size` bytes, after `before` earlier ones. Raises SLOW if they don't arrive in time, and LIMIT
        for a caller with too many slow bodies already.
        """
        thread = threading.get_ident()
        began = time.monotonic()
        ends = began + self.seconds + (before + size) / SLOWEST
        coming = _IncomingBody(request.environ.get(CALLER, ""), request.environ, began, ends, thread)
        if len(self._coming) >= _MOST_SLOW:
            self._check_share(coming)
        self._coming[id(coming)] = coming
        if self._watch is None:
            self._start_watching()
        try:
            data: bytes = stream.read(size)
        finally:
            with coming.lock:
                del self._coming[id(coming)]
        if coming.ended:
            raise MltrailError(Code.SLOW, _MESSAGE)
        return data

    def _check_share(self, one: "_IncomingBody") -> None:
        same = [other for other in list(self._coming.values()) if other.caller == one.caller]
        slow = sum(one.began - other.began > _SLOW_SECONDS for other in same)
        if slow >= _MOST_SLOW or len(same) >= _MOST:
            raise MltrailError(
                Code.LIMIT, "Many of your requests are being sent slowly at the same time; try again.", retry_after=2
            )

    def _start_watching(self) -> None:
        with self._lock:
            if self._watch is None:  # created in the serving process: a fork does not have its parent's threads
                self._watch = threading.Thread(target=self._look, name="slow bodies", daemon=True)
                self._watch.start()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            for one in list(self._coming.values()):
                if self.seconds and now > one.ends and not one.ended:
                    with one.lock:
                        if id(one) in self._coming:
                            one.ended = True
                            _end(one)


@dataclass(eq=False, slots=True)
class _IncomingBody:
    caller: str
    environ: dict[str, Any]
    began: float
    ends: float
    thread: int
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


def _end(one: _IncomingBody) -> None:
    """Respond in place of a reading thread, and close the connection. No error here may end the watcher."""
    try:
        sock = one.environ.get("gunicorn.socket")
        if sock is not None:
            sock.shutdown(socket.SHUT_RD)  # the thread then reads the end of the body, and responds itself
        else:
            _answer_for(one)
    except Exception:  # noqa: BLE001 - see above
        _log.warning("a body that arrives too slowly could not be ended", exc_info=True)


def _answer_for(one: _IncomingBody) -> None:
    """Respond through granian, as any thread can; the reading thread's later response is ignored."""
    protocol = _protocol_of(sys._current_frames().get(one.thread))  # noqa: SLF001 - the documented name
    if protocol is None:
        return
    # Trailing spaces give it a length that no other response has at the same time.
    body = msgspec.json.encode({"error_code": "TEMPORARILY_UNAVAILABLE", "message": _MESSAGE})
    body += b" " * secrets.randbelow(16_384)
    headers = [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("connection", "close"),
        ("x-request-id", one.environ.get(REQUEST_ID, "")),
    ]
    address = one.environ.get("REMOTE_ADDR", "")
    before = dict(_sent(address))
    protocol.response_bytes(408, headers, body)
    threading.Thread(target=_hang_up, args=(address, before, len(body)), name="hang up", daemon=True).start()


def _hang_up(address: str, before: dict[int, int], size: int) -> None:
    """Close the connection that has just sent a response of this size: granian does not say which one it is."""
    for _ in range(_HANG_UP_LOOKS):
        time.sleep(_HANG_UP_SECONDS)
        grown = [fd for fd, sent in _sent(address) if 0 < sent - before.get(fd, sent) - size < _HEAD]
        if len(grown) == 1:
            with socket.socket(fileno=os.dup(grown[0])) as connection:
                connection.shutdown(socket.SHUT_RDWR)
            return


def _protocol_of(frame: "FrameType | None") -> Any:  # noqa: ANN401 - granian's
    while frame is not None:
        if frame.f_code.co_name == "_runner" and frame.f_globals.get("__name__") == "granian.wsgi":
            return frame.f_locals.get("proto")
        frame = frame.f_back
    return None


_BYTES_SENT = 200
"""The offset of `tcpi_bytes_sent` in Linux's `struct tcp_info`, since 4.19."""


def _sent(address: str) -> list[tuple[int, int]]:
    """List this process's connections from an address, and the bytes sent over each; empty if that is not known."""
    found = []
    try:
        numbers = [int(one.name) for one in Path("/proc/self/fd").iterdir()]
    except OSError:
        return []
    for number in numbers:
        try:
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            copy = os.dup(number)
        except OSError:  # it is closed by now
            continue
        try:
            with socket.socket(fileno=copy) as one:
                if one.family not in (socket.AF_INET, socket.AF_INET6) or one.getpeername()[0] != address:
                    continue
                info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_SENT + 8)
        except OSError:  # it is listening, or no longer connected
            continue
        if len(info) == _BYTES_SENT + 8:
            found.append((number, struct.unpack_from("Q", info, _BYTES_SENT)[0]))
    return found


SLOW_BODIES = SlowBodies()
