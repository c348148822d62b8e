"""Web sign-in with GitLab: authorization code with PKCE.

https://docs.gitlab.com/api/oauth2/#authorization-code-with-proof-key-for-code-exchange-pkce
"""

import base64
import hashlib
import logging
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import requests

from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import unauthenticated, unavailable
from mltrail_server.settings import CALLBACK

from .connections import TIMEOUT_SECONDS, USER_AGENT

_log = logging.getLogger(__name__)

SCOPES = "openid read_api"
_LIFETIME_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str
    expires_ms: int


class OAuth:
    """GitLab's sign-in for one application. Every method raises UNAUTHENTICATED when GitLab refuses, and UNAVAILABLE
    when it does not respond; the person can then sign in again.
    """

    def __init__(self, gitlab_url: str, *, client_id: str, client_secret: str, external_url: str, clock: Clock) -> None:
        self._base = f"{gitlab_url.rstrip('/')}/oauth"
        self._client = {"client_id": client_id} | ({"client_secret": client_secret} if client_secret else {})
        self._redirect_uri = external_url.rstrip("/") + CALLBACK
        self._clock = clock

    def authorize_url(self, *, state: str, verifier: str) -> str:
        """Return the URL of GitLab's page where the person gives consent."""
        query = {
            "client_id": self._client["client_id"],
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "state": state,
            "scope": SCOPES,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._base}/authorize?{urlencode(query)}"

    def exchange(self, code: str, verifier: str) -> Tokens:
        grant = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        return self._tokens(grant | {"redirect_uri": self._redirect_uri})

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token for new tokens; GitLab then invalidates both old ones."""
        grant = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        return self._tokens(grant | {"redirect_uri": self._redirect_uri})

    def revoke(self, token: str) -> None:
        """Revoke a token. If GitLab does not respond, the person is signed out nevertheless."""
        try:
            self._post("/revoke", {"token": token})
        except requests.RequestException:
            _log.warning("A token could not be revoked: GitLab is not responding")

    def _tokens(self, grant: dict[str, str]) -> Tokens:
        try:
            answer = self._post("/token", grant)
            content: Any = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise unavailable("GitLab is not responding; sign in again in a moment.") from error
        if answer.status_code in (400, 401):
            # The description contains no secret, but GitLab writes it for the operator, not for the page.
            _log.warning("GitLab refuses a sign-in: %r", content.get("error") if isinstance(content, dict) else None)
            raise unauthenticated("GitLab refuses this sign-in: it took too long, or was already used. Sign in again.")
        try:
            lifetime = int(content.get("expires_in") or _LIFETIME_SECONDS)
            return Tokens(
                str(content["access_token"]), str(content.get("refresh_token") or ""), self._clock() + lifetime * 1000
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise unavailable("GitLab's response to the sign-in can't be read; sign in again in a moment.") from error

    def _post(self, path: str, form: dict[str, str]) -> requests.Response:
        return requests.post(
            self._base + path,
            data=self._client | form,
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            headers={"User-Agent": USER_AGENT},
        )


def challenge(verifier: str) -> str:
    """Return PKCE's S256 challenge. https://www.rfc-editor.org/rfc/rfc7636#section-4.2"""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
