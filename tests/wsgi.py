"""Calls of the whole application, made as a WSGI server makes them, but without one."""

import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask import Flask

Environ = dict[str, Any]


def environ(method: str, path: str, *, query: str = "", body: bytes = b"", **headers: str) -> Environ:
    """Return what a server would hand over. Headers have the names that WSGI gives them, such as `HTTP_HOST`."""
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        **headers,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
    }


def body_of(app: "Flask", given: Environ) -> bytes:
    """Call the application, and return the body of its answer, which must be a success."""
    statuses: list[str] = []
    parts = app(given, lambda status, _headers, *_: statuses.append(status))  # type: ignore[arg-type,func-returns-value] # a server's callable returns nothing that is used here
    body = b"".join(parts)
    if (close := getattr(parts, "close", None)) is not None:
        close()
    assert statuses == ["200 OK"], (given["PATH_INFO"], statuses, body[:300])
    return body
