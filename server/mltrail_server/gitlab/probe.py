"""What the self-test asks GitLab beyond daily work: its version, the bot's token, the issuer's pages."""

from dataclasses import dataclass
from typing import Any

import requests

from mltrail_server.domain.errors import unavailable

from . import answers
from .errors import telling
from .session import TIMEOUT_SECONDS, Sessions

OLDEST = (17, 0)
"""The oldest GitLab that mltrail supports."""


@dataclass(frozen=True, slots=True)
class Token:
    scopes: list[str]
    expires_at: str | None
    active: bool


class Probe:
    def __init__(self, sessions: Sessions, token: str) -> None:
        self._sessions = sessions
        self._token = token

    def version(self) -> str:
        return str(self._get("/version", "version", {"version"})["version"])

    def token(self) -> Token:
        got = self._get("/personal_access_tokens/self", "bot's token", {"scopes", "active"})
        return Token(list(got["scopes"]), got.get("expires_at"), got["active"] is True)

    def user_name(self) -> str:
        return str(self._get("/user", "bot's user", {"id", "username"})["username"])

    def _get(self, path: str, what: str, fields: set[str]) -> dict[str, Any]:
        with telling(what, bot=True):
            return answers.get(self._sessions.bot(self._token), path, what, fields)


def issuer_page(issuer: str) -> dict[str, Any]:
    """Fetch the issuer's discovery page and its keys, as `{"issuer": …, "keys": […]}`."""
    try:
        page = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
        page.raise_for_status()
        told = page.json()
        keys = requests.get(told["jwks_uri"], timeout=TIMEOUT_SECONDS)
        keys.raise_for_status()
        return {"issuer": told["issuer"], "keys": list(keys.json()["keys"])}
    except (requests.RequestException, ValueError, KeyError, TypeError) as error:
        raise unavailable(
            f"The discovery page of {issuer}, or its keys, can't be read ({type(error).__name__})."
        ) from error
