"""Serve below a path of a host, `https://host/mltrail`, as the external URL says.

A proxy may pass the path on or take it off; both work. Where a group of the GitLab has the path's own name, a proxy
that takes it off must say so by `X-Forwarded-Prefix`: `/mltrail/churn/-/ml/models` would else be two pages.
"""

from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class PathPrefix:
    """Tell the application the path that it is below, and take it off the paths that are asked for."""

    def __init__(self, inner: "WSGIApplication", root_path: str) -> None:
        # WSGI holds paths unescaped, and their bytes as Latin-1: https://peps.python.org/pep-3333/#unicode-issues
        self._root = unquote(root_path, encoding="latin-1")
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        path = environ.get("PATH_INFO", "")
        taken_off = (
            environ.get("SCRIPT_NAME") == self._root
            or environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/") == self._root
        )
        if not taken_off and (path == self._root or path.startswith(self._root + "/")):
            environ["PATH_INFO"] = path[len(self._root) :] or "/"
        environ["SCRIPT_NAME"] = self._root
        return self._inner(environ, start_response)
