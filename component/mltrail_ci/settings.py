"""Where the server is, who is asking and about which pipeline: from options, else from the job's variables."""

import re
from argparse import Namespace
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from .errors import usage

_TRACKING_URI = re.compile(r"(?P<server>https?://.+)/api/v4/projects/(?P<project>.+?)/ml/mlflow/?")

TOKENS = ("MLTRAIL_TOKEN", "MLFLOW_TRACKING_TOKEN")
"""Variables that may hold the token; the first one that is set counts."""

_WITHOUT_PIPELINE = frozenset({"doctor", "detach", "rollback", "card", "verify"})


class Settings(NamedTuple):
    """`project` is a number or a full path; `token_name` is the variable that held the token."""

    server: str
    project: str
    pipeline: str
    token: str
    token_name: str

    @property
    def base(self) -> str:
        """The URL below which everything of the project is."""
        return f"{self.server}/api/v4/projects/{quote(self.project, safe='')}/ml"

    def tracks(self, tracking_uri: str) -> bool:
        """Tell whether MLflow with this tracking URI logs to this server and project."""
        found = _TRACKING_URI.fullmatch(tracking_uri)
        return found is not None and (found["server"], unquote(found["project"])) == (self.server, self.project)

    @property
    def pipeline_url(self) -> str:
        return f"{self.base}/pipelines/{self.pipeline}"


def read(options: Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises `CommandError` for what is missing, and names the variable that gives it."""
    tracking = _TRACKING_URI.fullmatch(environment.get("MLFLOW_TRACKING_URI", ""))
    server = options.server or environment.get("MLTRAIL_SERVER") or (tracking and tracking["server"])
    if not server:
        told = environment.get("MLFLOW_TRACKING_URI")
        if told:
            raise usage(
                f"MLFLOW_TRACKING_URI is {told}, which is no project of an mltrail server "
                "(https://…/api/v4/projects/<id>/ml/mlflow). A CI/CD variable of that name in the settings of project "
                "or group wins over the component's: delete it there, or give --server https://…"
            )
        raise usage(
            "Which server? Extend the hidden job of the `track` component, which sets MLFLOW_TRACKING_URI, "
            "or give --server https://…"
        )
    if not re.fullmatch(r"https?://[^\s/]+.*", server):
        raise usage(f"The server {server!r} is no URL; it should look like https://mltrail.example.com")
    project = options.project or environment.get("CI_PROJECT_ID") or (tracking and unquote(tracking["project"]))
    if not project:
        raise usage("Which project? In a job CI_PROJECT_ID says it; elsewhere give --project with its number or path.")
    pipeline = options.pipeline or environment.get("CI_PIPELINE_ID", "")
    needs_one = options.command not in _WITHOUT_PIPELINE and getattr(options, "candidate", None) is None
    if (pipeline or needs_one) and not (pipeline.isascii() and pipeline.isdecimal()):
        raise usage("Which pipeline? In a job CI_PIPELINE_ID says it; elsewhere give --pipeline with its number.")
    token_name = next((name for name in TOKENS if environment.get(name)), "")
    return Settings(server.rstrip("/"), project, pipeline, environment.get(token_name, ""), token_name)


def require_token(settings: Settings) -> None:
    if not settings.token:
        raise usage(
            "There is no token. Give the job one: `id_tokens: {MLTRAIL_TOKEN: {aud: " + settings.server + "}}`, "
            "which the components `report` and `promote` do. Outside CI set MLTRAIL_TOKEN to an access token."
        )
