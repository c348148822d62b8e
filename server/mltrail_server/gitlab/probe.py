"""What the self-test and the doctor ask GitLab beyond normal operation: version, bot's token, issuer's pages, clock."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from mltrail_server.domain.errors import forbidden, unavailable

from . import renamed_urls, responses
from .connections import NO_WAITING, TIMEOUT_SECONDS, Connections
from .errors import translating_errors

OLDEST = (17, 0)
"""The oldest GitLab that mltrail supports."""


@dataclass(frozen=True, slots=True)
class TokenInfo:
    scopes: list[str]
    expires_at: str | None
    active: bool

    @property
    def ends(self) -> float | None:
        """When the day on which it expires begins, in seconds since 1970; None if it never does."""
        if not self.expires_at:
            return None
        return datetime.fromisoformat(self.expires_at).replace(tzinfo=UTC).timestamp()


class Probe:
    def __init__(self, sessions: Connections, token: str) -> None:
        self._sessions = sessions
        self._token = token

    def version(self) -> str:
        got = renamed_urls.ask_by_either_name(
            self._sessions, renamed_urls.METADATA, lambda name: self._get(f"/{name}", "version", {"version"})
        )
        return str(got["version"])

    def token(self) -> TokenInfo:
        got = self._get("/personal_access_tokens/self", "bot's token", {"scopes", "active"})
        with responses.readable("bot's token"):
            expires_at = got.get("expires_at") or None
            if expires_at is not None:
                date.fromisoformat(expires_at)
            return TokenInfo([responses.text(scope) for scope in got["scopes"]], expires_at, got["active"] is True)

    def user_name(self) -> str:
        return str(self._get("/user", "bot's user", {"id", "username"})["username"])

    def create_hook(self, project_id: int, *, url: str, token: str, signing_token: str) -> int:
        """Create a webhook for pipeline events and return its id. https://docs.gitlab.com/api/project_webhooks/"""
        data = {
            "url": url,
            "token": token,
            "signing_token": signing_token,
            "pipeline_events": True,
            "push_events": False,
        }
        with translating_errors("webhook", bot=True):
            session = self._sessions.bot(self._token)
            got = session.http_post(f"/projects/{project_id}/hooks", post_data=data, **NO_WAITING)
            return int(responses.with_fields(got, "webhook", frozenset({"id"}))["id"])

    def try_hook(self, project_id: int, hook: int) -> None:
        """Have GitLab send a pipeline event."""
        with translating_errors("webhook's test", bot=True):
            path = f"/projects/{project_id}/hooks/{hook}/test/pipeline_events"
            self._sessions.bot(self._token).http_post(path, **NO_WAITING)

    def delete_hook(self, project_id: int, hook: int) -> None:
        with translating_errors("webhook", bot=True):
            self._sessions.bot(self._token).http_delete(f"/projects/{project_id}/hooks/{hook}", **NO_WAITING)

    def _get(self, path: str, what: str, fields: set[str]) -> dict[str, Any]:
        if not self._token:
            raise forbidden("No bot token is set for this project: set MLTRAIL_GITLAB_TOKEN.")
        with translating_errors(what, bot=True):
            got = self._sessions.bot(self._token).http_get(path, **NO_WAITING)
        return responses.with_fields(got, what, fields)


def issuer_page(issuer: str) -> dict[str, Any]:
    """Fetch the issuer's discovery page and its keys, as `{"issuer": …, "keys": […]}`."""
    try:
        page = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
        page.raise_for_status()
        discovery = page.json()
        keys = requests.get(discovery["jwks_uri"], timeout=TIMEOUT_SECONDS)
        keys.raise_for_status()
        return {"issuer": discovery["issuer"], "keys": list(keys.json()["keys"])}
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        own_authority = (
            " If its certificate is from an authority of your own, set REQUESTS_CA_BUNDLE to the file with that "
            "authority's certificate."
        )
        raise unavailable(
            f"The discovery page of {issuer}, or its keys, can't be read ({type(error).__name__})."
            f"{own_authority if isinstance(error, requests.exceptions.SSLError) else ''}"
        ) from error


def clock_of(url: str) -> float:
    """Return an issuer's time by its response, in seconds since 1970; exact to a second. Raises UNAVAILABLE."""
    try:
        response = requests.get(f"{url}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (requests.RequestException, KeyError, ValueError) as error:
        raise unavailable(f"{url} does not respond, or without a date ({type(error).__name__}).") from error
