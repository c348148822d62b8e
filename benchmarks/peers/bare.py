"""The floor of any Python server: an application that reads the body, and answers as many bytes as the path says.

mltrail's own server program runs it (granian, with as many processes and threads), so what is missing from mltrail's
figures to these is what mltrail itself does.
"""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from granian.constants import Interfaces
from granian.server import Server

_CHUNK = 1 << 16
_PART = bytes(_CHUNK)


def application(environ: dict[str, Any], start: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    length = int(environ["PATH_INFO"].rpartition("/")[2] or 0)
    body = environ["wsgi.input"]
    left = int(environ.get("CONTENT_LENGTH") or 0)
    while left > 0 and (data := body.read(min(left, _CHUNK))):
        left -= len(data)
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(length))])
    return [_PART[:length]] if length <= _CHUNK else _parts(length)


def _parts(length: int) -> Iterable[bytes]:
    while length > 0:
        yield _PART[:length]
        length -= _CHUNK


def serve(port: int, workers: int) -> None:
    server = Server(
        "benchmarks.peers.bare:application",
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=8,
        websockets=False,
        log_access=False,
    )
    server.serve()


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:]))
