"""Server, token, project and pipeline: from options, or else from the job's variables."""

import re
from argparse import Namespace
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from .errors import CommandError, usage
from .redaction import without_credentials

_TRACKING_URI = re.compile(r"(?P<server>https?://.+?)/+api/v4/projects/(?P<project>.+?)/ml/mlflow/?")

TOKENS = ("MLTRAIL_TOKEN", "MLFLOW_TRACKING_TOKEN")
"""Variables that can contain the token; the first one that is set counts."""

_LONGEST_NUMBER = 19
_WITHOUT_PIPELINE = frozenset({"doctor", "detach", "rollback", "card", "verify"})


class Settings(NamedTuple):
    """`project` is an ID or a full path; `token_name` is the variable with the token. `token` is empty if it can't be
    sent, and `token_problem` says why.
    """

    server: str
    project: str
    pipeline: str
    token: str
    token_name: str
    token_problem: str = ""

    @property
    def base(self) -> str:
        """The URL below which all calls for the project are."""
        return f"{self.server}/api/v4/projects/{quote(self.project, safe='')}/ml"

    def tracks(self, tracking_uri: str) -> bool:
        """Whether MLflow with this tracking URI logs to this server and project."""
        found = _TRACKING_URI.fullmatch(without_credentials(tracking_uri))
        return found is not None and (found["server"], unquote(found["project"])) == (self.server, self.project)

    @property
    def pipeline_url(self) -> str:
        return f"{self.base}/pipelines/{self.pipeline}"


def read(options: Namespace, environment: Mapping[str, str]) -> Settings:
    """Raises `CommandError` if something is missing or can't be used, and names the variable that sets it."""
    tracking_uri = without_credentials(environment.get("MLFLOW_TRACKING_URI", "").strip())
    tracking = _TRACKING_URI.fullmatch(tracking_uri)
    servers = {
        "--server": (options.server or "").strip(),
        "MLTRAIL_SERVER": environment.get("MLTRAIL_SERVER", "").strip(),
        "MLFLOW_TRACKING_URI": tracking["server"] if tracking else "",
    }
    source = next((name for name, server in servers.items() if server), None)
    if source is None:
        raise _no_server(tracking_uri)
    project = _project(options, environment, tracking)
    pipeline = _pipeline(options, environment)
    token_name = next((name for name in TOKENS if environment.get(name, "").strip()), "")
    token = environment.get(token_name, "").strip()
    problem = wrong_token(token)
    if problem:
        problem = f"{token_name} {problem}"
    return Settings(_usable(servers[source], source), project, pipeline, "" if problem else token, token_name, problem)


def _no_server(tracking_uri: str) -> CommandError:
    if tracking_uri:
        return usage(
            f"MLFLOW_TRACKING_URI is {tracking_uri}, which is not a project on an mltrail server "
            "(https://…/api/v4/projects/<id>/ml/mlflow). A CI/CD variable of that name in the settings of project "
            "or group overrides the component's: delete it there, or give --server https://…"
        )
    return usage(
        "Which server? Extend the hidden job of the `track` component, which sets MLFLOW_TRACKING_URI, "
        "or give --server https://…"
    )


def _project(options: Namespace, environment: Mapping[str, str], tracking: re.Match[str] | None) -> str:
    project = (options.project or environment.get("CI_PROJECT_ID") or "").strip()
    project = project or (unquote(tracking["project"]) if tracking else "")
    if not project:
        raise usage("Which project? In a job, CI_PROJECT_ID is set; elsewhere give --project with its ID or path.")
    if not project.isprintable():
        raise usage(f"The project {project!r} is neither an ID nor a path.")
    return project


def _pipeline(options: Namespace, environment: Mapping[str, str]) -> str:
    pipeline = (options.pipeline or environment.get("CI_PIPELINE_ID", "")).strip()
    needs_one = options.command not in _WITHOUT_PIPELINE and getattr(options, "candidate", None) is None
    if (pipeline or needs_one) and not _is_number(pipeline):
        raise usage("Which pipeline? In a job, CI_PIPELINE_ID is set; elsewhere give --pipeline with its ID.")
    return pipeline


def require_token(settings: Settings, command: str) -> None:
    if settings.token_problem:
        raise usage(settings.token_problem)
    if not settings.token:
        # A training job has MLflow's variable, and needs no second token.
        name = "MLTRAIL_TOKEN" if command in {"report", "promote"} else TOKENS[1]
        raise usage(
            f"There is no token. Give the job one: `id_tokens: {{{name}: {{aud: {settings.server}}}}}`, "
            "as the components do. Outside CI, set MLTRAIL_TOKEN to an access token."
        )


def wrong_token(token: str) -> str:
    """Say why a token can't be sent, without repeating it; empty if it can."""
    import unicodedata  # noqa: PLC0415 - only for a wrong token

    for place, character in enumerate(token, start=1):
        if not "!" <= character <= "~":
            what = unicodedata.name(character, f"control character U+{ord(character):04X}").lower()
            return (
                f"can't be a token: character {place} of {len(token)} is a {what}. "
                "Set the variable again, without quotes and line breaks."
            )
    if len(token) > 1 and token[0] == token[-1] and token[0] in "\"'`":
        return "can't be a token: it is in quotes. Set the variable again, without them."
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


def _usable(server: str, source: str) -> str:
    """The server's URL, without credentials. Raises `CommandError` for anything else."""
    url = without_credentials(server).rstrip("/")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    good = url.isascii() and url.isprintable() and not re.search(r"[\s\\\"<>^`{|}]", url)
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or not good:
        raise usage(
            f"The server {url!r}, set by {source}, is not a usable URL; it should look like https://mltrail.example.com"
        )
    return url
