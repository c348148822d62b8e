"""An MLflow server: where its API is, and which version it has."""

import re
from typing import Any
from urllib.parse import parse_qs, urldefrag, urlsplit, urlunsplit

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.transfer import Entity, Findings, GoneError
from mltrail_server.sources.http import LostError, Rest
from mltrail_server.sources.reading import Reading, is_absent
from mltrail_server.sources.workers import Workers

API, API_3, AJAX = "api/2.0/mlflow", "api/3.0/mlflow", "ajax-api/2.0/mlflow"
EXPERIMENTS = f"{API}/experiments/search"

_API_PART = re.compile(r"/(?:ajax-)?api/[23]\.0(?:/(?:preview/)?mlflow(?:/.*)?)?$")
_VERSION = re.compile(r"\d+\.\d+[\w.+-]*")


def base_url(url: str) -> tuple[str, str]:
    """Return the base URL, and the workspace that the URL names. It may have been copied from a browser, or from an
    example of a call.
    """
    parts = urlsplit(urldefrag(url.strip())[0])
    base = urlunsplit((parts.scheme, parts.netloc, _API_PART.sub("", parts.path.rstrip("/")), "", ""))
    return base, parse_qs(parts.query).get("workspace", [""])[0]


class Server(Reading):
    """What the parts of the reader share. `version` is MLflow's, () if the server does not report it, as before 2.0."""

    def __init__(self, rest: Rest, findings: Findings, workers: Workers) -> None:
        super().__init__(rest, findings, workers)
        rest.probe = lambda: rest.ask_once("POST", EXPERIMENTS, body={"max_results": 1})

    def describe(self) -> str:
        """Find out and return what answers, such as `MLflow 2.22.1`. Raises INVALID if it is not an MLflow server."""
        try:
            self.rest.post(EXPERIMENTS, {"max_results": 1})
        except GoneError:
            raise
        except LostError as error:
            if is_absent(error):
                raise invalid(self._elsewhere()) from error
            raise
        text = self._version_text()
        self.version = tuple(int(part) for part in re.findall(r"\d+", text)[:2])
        if not text and "/ml/mlflow" in self.rest.url:
            raise invalid(
                "This is GitLab's own experiment tracking. Import it with --from-gitlab URL --gitlab-project PATH "
                "instead."
            )
        info = self._info()
        if info.get("workspaces_enabled"):
            self.note(
                Entity.EXPERIMENT, "server", "only one workspace is read; to choose another, add ?workspace= to the URL"
            )
        if info.get("store_type") == "mltrail":
            return f"mltrail (speaks MLflow {text})"
        return f"MLflow {text}" if text else "MLflow before 2.0"

    def _version_text(self) -> str:
        """Ask for the version, which servers since 2.0 return as plain text."""
        try:
            text = self.rest.text("version")
        except LostError as error:
            if error.passing:
                raise
            return ""
        return text if _VERSION.fullmatch(text) else ""

    def _info(self) -> dict[str, Any]:
        """Ask for what servers since 3.10 say about themselves."""
        if self.version < (3,):
            return {}
        try:
            return self.rest.get(f"{API_3}/server-info")
        except LostError:
            return {}

    def _elsewhere(self) -> str:
        return (
            f"There is no MLflow API at {self.rest.url}. Give the URL that MLFLOW_TRACKING_URI has: for a server below "
            "a path with that path, for a project in another mltrail up to …/api/v4/projects/ID/ml/mlflow."
        )
