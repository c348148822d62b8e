"""Sessions of browsers: signing in with GitLab's login or with a token, staying signed in, signing out.

The browser holds a random id. The tokens stay here, encrypted with a key that is derived from that id. So neither a
copy of the database nor a leaked log gives away a token, sessions survive a restart, and every web process knows them.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mltrail_server.domain import tokens
from mltrail_server.domain.errors import Code, MltrailError, conflict, unauthenticated, unavailable
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.identity import sessions as store

from . import authentication

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

LIFETIME_MS = 14 * 24 * 3_600_000
_EARLY_MS = 5 * 60_000
"""A token is renewed this long before it expires, so that one attempt may fail."""
_CLAIM_MS = 30_000
_NEVER_MS = 2**62
_RENEWAL_LOOKS, _RENEWAL_LOOK_SECONDS = 60, 0.05


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a session acts with: an access token and, after GitLab's own login, what renews it."""

    token: str
    refresh_token: str = ""
    expires_ms: int | None = None


def sign_in_with_token(deps: Deps, token: str) -> str:
    """Begin a session with an access token, or with local mode's, and return its id.

    The token is checked first, so that a wrong one is refused at once and not kept. Raises UNAUTHENTICATED.
    """
    token = tokens.bare(token)
    if deps.team is None:
        authentication.check_local(deps, token)
    else:
        tokens.check_form(token)
        if tokens.is_job_token(token) or tokens.is_jwt(token):
            raise unauthenticated("A job's token is for its job. Sign in with an access token of your own.")
        deps.team.access_tokens.check(token)
    return begin(deps, Credentials(token))


def sign_in_address(deps: Deps, *, state: str, verifier: str) -> str:
    """Return the address of GitLab's login page. Raises CONFLICT where there is none."""
    if deps.oauth is None:
        raise conflict(
            "This server has no application in GitLab, so sign in with a token. The operator sets "
            "MLTRAIL_OAUTH_CLIENT_ID for more."
        )
    return deps.oauth.authorize_url(state=state, verifier=verifier)


def sign_in_with_code(deps: Deps, code: str, verifier: str) -> str:
    """Begin a session with the code that GitLab has given to the browser, and return its id."""
    if deps.oauth is None:
        raise conflict("This server has no application in GitLab.")
    grant = deps.oauth.exchange(code, verifier)
    return begin(deps, Credentials(grant.access_token, grant.refresh_token, grant.expires_ms))


def begin(deps: Deps, credentials: Credentials) -> str:
    """Keep the credentials, and return the id for the browser. It is always a new one."""
    session_id = secrets.token_urlsafe(32)
    now = deps.clock()
    with deps.db.write() as connection:
        store.add(
            connection,
            _hash(session_id),
            sealed=_sealed(deps, session_id, credentials),
            refresh_ms=_refresh_ms(credentials),
            expires_ms=now + LIFETIME_MS,
            now=now,
        )
    return session_id


def token_of(deps: Deps, session_id: str) -> str:
    """Return the session's access token, a new one when the old one is about to expire.

    Raises UNAUTHENTICATED when the session has ended.
    """
    credentials, refresh_ms = _find(deps, session_id)
    if refresh_ms > deps.clock():
        return credentials.token
    return _refreshed(deps, session_id, credentials).token


def end(deps: Deps, session_id: str) -> None:
    """Sign out: forget the session, and have GitLab revoke the tokens that it has issued for it."""
    try:
        credentials, _ = _find(deps, session_id)
    except MltrailError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise  # the session goes on
        return
    with deps.db.write() as connection:
        store.delete(connection, _hash(session_id))
    if deps.oauth is not None and credentials.refresh_token:
        deps.oauth.revoke(credentials.token)
        deps.oauth.revoke(credentials.refresh_token)


def _find(deps: Deps, session_id: str) -> tuple[Credentials, int]:
    with deps.db.read() as connection:
        session = store.get(connection, _hash(session_id), now=deps.clock())
    if session is None:
        raise _signed_out()
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as in `_cipher`

    try:
        opened = _cipher(deps, session_id).decrypt(session.sealed)
    except InvalidToken as error:
        # The server's secret key has changed.
        raise _signed_out() from error
    return Credentials(**json.loads(opened)), session.refresh_ms


def _refreshed(deps: Deps, session_id: str, old: Credentials) -> Credentials:
    now, key = deps.clock(), _hash(session_id)
    if deps.oauth is None:
        raise _signed_out()
    with deps.db.write() as connection:
        claimed = store.claim(connection, key, now=now, until_ms=now + _CLAIM_MS)
    if not claimed:
        return _renewed_elsewhere(deps, session_id, old)
    try:
        grant = deps.oauth.refresh(old.refresh_token)
    except MltrailError as error:
        if error.code is Code.UNAUTHENTICATED:
            with deps.db.write() as connection:
                store.delete(connection, key)
            raise _signed_out() from error
        # While the old token is valid, the next attempt is a while away.
        valid = old.expires_ms is not None and now < old.expires_ms
        _keep(deps, session_id, old, refresh_ms=now + _CLAIM_MS if valid else now)
        if valid:
            return old
        raise
    fresh = Credentials(grant.access_token, grant.refresh_token, grant.expires_ms)
    _keep(deps, session_id, fresh, refresh_ms=_refresh_ms(fresh))
    return fresh


def _keep(deps: Deps, session_id: str, credentials: Credentials, *, refresh_ms: int) -> None:
    sealed = _sealed(deps, session_id, credentials)
    with deps.db.write() as connection:
        store.put(connection, _hash(session_id), sealed=sealed, refresh_ms=refresh_ms)


def _renewed_elsewhere(deps: Deps, session_id: str, old: Credentials) -> Credentials:
    """Wait a moment for the request that renews the token: GitLab does not take the old one from then on."""
    pause = threading.Event()
    for _ in range(_RENEWAL_LOOKS):
        current = _find(deps, session_id)[0]
        if current != old:
            return current
        pause.wait(_RENEWAL_LOOK_SECONDS)
    if old.expires_ms is not None and deps.clock() < old.expires_ms:
        return old
    raise unavailable("Your session is just being renewed; load the page again.")


def _refresh_ms(credentials: Credentials) -> int:
    return _NEVER_MS if credentials.expires_ms is None else credentials.expires_ms - _EARLY_MS


def _sealed(deps: Deps, session_id: str, credentials: Credentials) -> str:
    return _cipher(deps, session_id).encrypt(json.dumps(asdict(credentials)).encode()).decode()


def _cipher(deps: Deps, session_id: str) -> "Fernet":
    from cryptography.fernet import Fernet  # noqa: PLC0415 - only for people who sign in

    key = hmac.digest(deps.settings.secret_key.encode(), f"web session {session_id}".encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(key))


def _hash(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _signed_out() -> MltrailError:
    return unauthenticated("You are signed out. Sign in to see this page.")
