"""SharingHub's form of a tracking URI, `/mlflow/<group>/<project>/tracking/`, for teams that migrate from there.

It is only another spelling of GitLab's own URL, and is rewritten before routing, so that access is declared once.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_FORM = re.compile(
    r"/mlflow/(?P<project>[^/].*?)/tracking"
    r"(?P<rest>/(?:(?:ajax-)?api/.*|version|health|get-artifact|model-versions/get-artifact))",
    re.DOTALL,
)


class SharingHubPaths:
    """Serve SharingHub's paths as GitLab's."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        found = _FORM.fullmatch(environ.get("PATH_INFO", ""))
        if found is not None:
            environ["PATH_INFO"] = f"/api/v4/projects/{found['project']}/ml/mlflow{found['rest']}"
        return self._inner(environ, start_response)
