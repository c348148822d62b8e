"""Paths that clients append to a URL of ours that ends in a slash: `https://mltrail.example.com/` and `/api/v4/…`.

GitLab builds a job's tracking URI by joining text, without regard to slashes.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_API = "/api/v4/"


class JoinedPaths:
    """Remove extra slashes before `/api/v4/`, whatever the server's own path is."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        before, found, after = environ.get("PATH_INFO", "").partition(_API)
        if found and before.endswith("/"):
            environ["PATH_INFO"] = f"{before.rstrip('/')}{_API}{after}"
        return self._inner(environ, start_response)
