"""Paths that clients join to an address of ours that ends in a slash: `https://mltrail.example.com/` and `/api/v4/…`.

A job's tracking URI is put together by GitLab, which joins text and knows nothing of URLs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_API = "/api/v4/"


class JoinedPaths:
    """Take slashes away that stand before `/api/v4/`, whatever path the server itself is under."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        before, found, after = environ.get("PATH_INFO", "").partition(_API)
        if found and before.endswith("/"):
            environ["PATH_INFO"] = f"{before.rstrip('/')}{_API}{after}"
        return self._inner(environ, start_response)
