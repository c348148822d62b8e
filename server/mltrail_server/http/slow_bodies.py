"""Bodies that come slowly: each holds a thread while it comes, so how slow it may be is bounded, and how many one
caller may send.

A thread that reads can't be interrupted. So a watch answers in its place when the time is up, with 408, and hangs up;
that ends the read. What is on time costs two entries in a dictionary.
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

if TYPE_CHECKING:
    from types import FrameType

    from flask import Request

_log = logging.getLogger(__name__)

CALLER = "mltrail.caller"
"""Where in the WSGI environment the name of whoever asks stands, once it is known."""

SLOWEST = 16_384
"""Bytes a second, on top of the seconds that any body may take."""

PIECE = 65_536
_SLOW_SECONDS = 1.0
_MOST_SLOW = 8
_MOST = 48
"""Bodies of one caller in one process: those that take more than a second, and all."""

_LOOK_SECONDS = 0.5
_HANG_UP_LOOKS, _HANG_UP_SECONDS = 200, 0.05
_HEAD = 400
"""More than the bytes of the head of our answer."""

_MESSAGE = (
    "The body of this request came too slowly, so the server did not wait for the rest. Nothing was stored. Send it "
    "again over a faster connection; large files in parts or to S3 directly."
)


class SlowBodies:
    """The bodies that come to this process just now. `seconds` is what any body may take; 0 is without an end."""

    def __init__(self) -> None:
        self.seconds = 20.0
        self._coming: dict[int, _IncomingBody] = {}
        self._lock = threading.Lock()
        self._watch: threading.Thread | None = None

    def read(self, request: "Request", stream: Any, size: int, before: int = 0) -> bytes:  # noqa: ANN401 - has read()
        """Read at most `size` bytes, after `before` ones. Raises SLOW when they do not come in time, LIMIT for a caller
        of whom many come slowly already.
        """
        thread = threading.get_ident()
        began = time.monotonic()
        ends = began + self.seconds + (before + size) / SLOWEST
        coming = _IncomingBody(request.environ.get(CALLER, ""), request.environ, began, ends, thread)
        if len(self._coming) >= _MOST_SLOW:
            self._check_share(coming)
        self._coming[id(coming)] = coming
        if self._watch is None:
            self._begin_to_watch()
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

    def _begin_to_watch(self) -> None:
        with self._lock:
            if self._watch is None:  # made in the process that serves: a fork has no threads of its parent's
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
    """Answer in the place of a thread that reads, and hang up. Nothing that goes wrong here may end the watch."""
    try:
        sock = one.environ.get("gunicorn.socket")
        if sock is not None:
            sock.shutdown(socket.SHUT_RD)  # the thread reads an end then, and answers itself
        else:
            _answer_for(one)
    except Exception:  # noqa: BLE001 - see above
        _log.warning("a body that comes too slowly could not be ended", exc_info=True)


def _answer_for(one: _IncomingBody) -> None:
    """Answer by granian's own means, which any thread may use; what the reading thread answers later is passed over."""
    protocol = _protocol_of(sys._current_frames().get(one.thread))  # noqa: SLF001 - the documented name
    if protocol is None:
        return
    # Blanks at the end make its length one that no other answer has at the same time.
    body = msgspec.json.encode({"error_code": "TEMPORARILY_UNAVAILABLE", "message": _MESSAGE})
    body += b" " * secrets.randbelow(16_384)
    headers = [("content-type", "application/json"), ("content-length", str(len(body))), ("connection", "close")]
    address = one.environ.get("REMOTE_ADDR", "")
    before = dict(_sent(address))
    protocol.response_bytes(408, headers, body)
    threading.Thread(target=_hang_up, args=(address, before, len(body)), name="hang up", daemon=True).start()


def _hang_up(address: str, before: dict[int, int], size: int) -> None:
    """Shut the connection that has just sent an answer of this size: granian does not tell which one it is."""
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
"""Where `tcpi_bytes_sent` stands in Linux's `struct tcp_info`, since 4.19."""


def _sent(address: str) -> list[tuple[int, int]]:
    """List this process's connections from an address, and the bytes sent over each; empty where that is not told."""
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
        except OSError:  # it is gone by now
            continue
        try:
            with socket.socket(fileno=copy) as one:
                if one.family not in (socket.AF_INET, socket.AF_INET6) or one.getpeername()[0] != address:
                    continue
                told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_SENT + 8)
        except OSError:  # it listens, or is no connection any more
            continue
        if len(told) == _BYTES_SENT + 8:
            found.append((number, struct.unpack_from("Q", told, _BYTES_SENT)[0]))
    return found


SLOW_BODIES = SlowBodies()
