"""Serve below a path of a host, `https://host/mltrail`, as the external URL says.

A proxy may keep the prefix or strip it; both work. If GitLab has a group of the same name as the prefix, a proxy that
strips it must set `X-Forwarded-Prefix`, or `/mltrail/churn/-/ml/models` could mean two pages.
"""

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class PathPrefix:
    """Tell the application its path prefix, and strip it from the requested paths."""

    def __init__(self, inner: "WSGIApplication", root_path: str) -> None:
        # WSGI has paths unescaped, with their bytes as Latin-1: https://peps.python.org/pep-3333/#unicode-issues
        self._root = unquote(root_path, encoding="latin-1")
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        path = environ.get("PATH_INFO", "")
        stripped = (
            environ.get("SCRIPT_NAME") == self._root
            or environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/") == self._root
        )
        if not stripped and (path == self._root or path.startswith(self._root + "/")):
            environ["PATH_INFO"] = path[len(self._root) :] or "/"
        environ["SCRIPT_NAME"] = self._root
        return self._inner(environ, start_response)
