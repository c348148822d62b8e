"""Verify CI ID tokens, offline except for the keys.

https://docs.gitlab.com/ci/secrets/id_token_authentication/
"""

import logging
import threading
from typing import Any

import jwt
import requests

from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import unauthenticated, unavailable
from mltrail_server.domain.identity import VerifiedClaims
from mltrail_server.telemetry.measured import MEASURED

from . import claims
from .connections import TIMEOUT_SECONDS
from .older_gitlab import OlderGitLab

_log = logging.getLogger(__name__)
_LAST_TIME = 253_402_300_799
"""The end of the year 9999, in seconds. Later times are invalid, and could not be stored."""

ALGORITHM = "RS256"
LEEWAY_SECONDS = 10
REFETCH_MS = 60_000
RETRY_MS = 5_000
MAX_AGE_MS = 24 * 3_600_000
MAX_TOKEN = 16_384


class KeySet:
    """The issuer's public keys by `kid`. They are fetched once a day, and when an unknown one arrives, at most once a
    minute.

    Keys that the issuer no longer publishes are dropped then. While it does not respond, the known keys stay valid.
    """

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_ms = 0
        self._next_ms = 0  # when the issuer may be asked again
        self._failed = False
        self._lock = threading.Lock()

    def key(self, kid: str) -> jwt.PyJWK:
        """Return a key. Raises UNAUTHENTICATED if it is not the issuer's, UNAVAILABLE if that can't be checked."""
        if kid not in self._keys or self._clock() - self._fetched_ms > MAX_AGE_MS:
            self._refresh(kid)
        found = self._keys.get(kid)
        if found is None:
            raise unauthenticated(
                f"The ID token is signed with a key that {self._issuer} does not publish. Is it from another GitLab?"
            )
        return found

    def _refresh(self, kid: str) -> None:
        # Tokens with a known key never get here, so a GitLab that hangs holds up nobody else.
        with self._lock:
            now = self._clock()
            if now >= self._next_ms:
                fetched = self._fetch()
                self._failed = fetched is None
                MEASURED.to.keys_fetched(failed=self._failed)
                self._next_ms = now + (RETRY_MS if fetched is None else REFETCH_MS)
                if fetched is not None:
                    self._keys, self._fetched_ms = fetched, now
            if self._failed and kid not in self._keys:
                raise unavailable("GitLab is not responding, and the key of this ID token is not known yet; try again.")

    def _fetch(self) -> dict[str, jwt.PyJWK] | None:
        try:
            with requests.Session() as session:
                discovery = session.get(f"{self._issuer}/.well-known/openid-configuration", timeout=TIMEOUT_SECONDS)
                discovery.raise_for_status()
                answer = session.get(discovery.json()["jwks_uri"], timeout=TIMEOUT_SECONDS)
                answer.raise_for_status()
                published: list[dict[str, Any]] = answer.json()["keys"]
                return {one["kid"]: key for one in published if "kid" in one and (key := _usable(one))}
        except (requests.RequestException, ValueError, KeyError, TypeError):
            _log.warning("The keys of %s can't be fetched; known ones stay valid", self._issuer, exc_info=True)
            return None


def _usable(published: dict[str, Any]) -> jwt.PyJWK | None:
    """Read an RSA key; None for one that we can't read, so that the others stay usable."""
    if published.get("kty") != "RSA":
        return None
    try:
        return jwt.PyJWK(published, algorithm=ALGORITHM)
    except jwt.PyJWTError:
        _log.warning("A published key can't be read: kid %r", published.get("kid"))
        return None


class IdTokens:
    """Verifies tokens of one issuer for one audience, which is our own external URL."""

    def __init__(self, *, issuer: str, audience: str, clock: Clock, older: OlderGitLab | None = None) -> None:
        self._issuer = issuer
        self._older = older
        self._audience = audience.rstrip("/")
        self._clock = clock
        self._keys = KeySet(issuer, clock)

    def verify(self, token: str, project: str) -> VerifiedClaims:
        """Check everything and return what the token proves. `project` is the one that the caller wants to use; it
        matters only for tokens of a GitLab before 18.4, which don't say where their job runs.

        Raises UNAUTHENTICATED, saying what is wrong and how to fix it, and UNAVAILABLE while no key is known.
        """
        checked, source = self._checked(token), None
        if self._older is not None and not checked.keys() >= claims.SINCE_18_4:
            checked, source = self._older.completed(checked, project)
        return claims.verified(checked, source=source)

    def unknown_claims(self, token: str) -> list[str]:
        """List the claims of a token that are in none of our tables: a newer GitLab sends more."""
        known = claims.CHECKED | claims.REQUIRED | claims.SINCE_18_4 | claims.OPTIONAL | claims.IGNORED
        return sorted(self._checked(token).keys() - known)

    def _checked(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN:
            raise unauthenticated("The ID token is longer than any that GitLab creates.")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM:
                raise unauthenticated(
                    f"The ID token is signed with {header.get('alg')!r}; GitLab signs with {ALGORITHM}."
                )
            key = self._keys.key(str(header.get("kid")))
            checked: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=[self._audience, self._audience + "/"],
                issuer=[self._issuer, self._issuer + "/"],
                leeway=LEEWAY_SECONDS,
                options={
                    "require": sorted(claims.CHECKED),
                    "verify_signature": True,
                    "verify_aud": True,
                    "verify_iss": True,
                    "strict_aud": False,  # a job can request several audiences
                    # Times are checked below, with the server's own clock.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    # Neither proves anything that other claims do not.
                    "verify_sub": False,
                    "verify_jti": False,
                    "enforce_minimum_key_length": True,
                },
            )
        except jwt.InvalidAudienceError as error:
            audience = jwt.decode(token, options={"verify_signature": False}).get("aud")
            raise unauthenticated(
                f"The ID token is for {audience!r}, but this server is {self._audience!r}. "
                f"Set `aud: {self._audience}` under `id_tokens:` in .gitlab-ci.yml. If it is already set, a project "
                "or group variable with the token's name replaces the token: rename or delete that variable."
            ) from error
        except jwt.InvalidIssuerError as error:
            raise unauthenticated(
                f"The ID token was not issued by {self._issuer}, the GitLab that this server belongs to."
            ) from error
        except jwt.MissingRequiredClaimError as error:
            raise unauthenticated(f"The ID token lacks the claim {error.claim!r}.") from error
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise unauthenticated("The ID token's signature is wrong, or the token was truncated.") from error
        self._check_times(checked)
        return checked

    def _check_times(self, checked: dict[str, Any]) -> None:
        now = self._clock() / 1000
        begins, ends, _ = (_time(checked[name], name) for name in ("nbf", "exp", "iat"))
        if now > ends + LEEWAY_SECONDS:
            raise unauthenticated(
                "The ID token has expired. It is valid as long as the job's `timeout:`; raise that for long trainings, "
                "or run the job again."
            )
        if now < begins - LEEWAY_SECONDS:
            raise unauthenticated("The ID token is not valid yet: the clocks of GitLab and of this server differ.")


def _time(value: object, name: str) -> int:
    """Read a NumericDate, in seconds. https://www.rfc-editor.org/rfc/rfc7519#section-2"""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    # NaN fails this comparison, too.
    if not is_number or not 0 <= value <= _LAST_TIME:  # type: ignore[operator] # it is a number by then
        raise unauthenticated(f"The ID token's `{name}` is not a valid time.")
    return int(value)  # type: ignore[call-overload,no-any-return] # the same
