"""Projects that somebody may see and that have been used here.

Who is signed in at a browser. The browser holds a random id; the tokens stay here, encrypted with a key made of it.

So neither a copy of the database nor a stolen log gives a token, sessions survive a restart, and every web process
knows them.

Sign in at a browser: by GitLab's own login, or with a token.
"""

import base64
import hashlib
import hmac
import json
import secrets
import threading
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet, InvalidToken

from mltrail_server.domain import tokens
from mltrail_server.domain.errors import Code, MltrailError, conflict, unauthenticated, unavailable
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.identity import projects
from mltrail_server.store.identity import sessions as store

from . import authentication
from . import projects as projects_service

LIFETIME_MS = 14 * 24 * 3_600_000
_EARLY_MS = 5 * 60_000
"""A token is changed this long before its end, so that one try may fail."""
_CLAIM_MS = 30_000
_NEVER_MS = 2**62
_LOOKS, _LOOK_SECONDS = 60, 0.05


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a session acts with: an access token, and with GitLab's login what renews it."""

    token: str
    refresh_token: str = ""
    expires_ms: int | None = None


def begin(deps: Deps, credentials: Credentials) -> str:
    """Keep the credentials, and answer the id for the browser. It is always a new one."""
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
    """Answer the session's access token, a new one when the old one is about to end.

    Raises UNAUTHENTICATED when there is no such session any more.
    """
    credentials, refresh_ms = _find(deps, session_id)
    if refresh_ms > deps.clock():
        return credentials.token
    return _refreshed(deps, session_id, credentials).token


def end(deps: Deps, session_id: str) -> None:
    """Sign out: forget the session, and have GitLab revoke the tokens that it had made for it."""
    try:
        credentials, _ = _find(deps, session_id)
    except MltrailError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise  # it is not ended
        return
    with deps.db.write() as connection:
        store.delete(connection, _hash(session_id))
    if deps.oauth is not None and credentials.refresh_token:
        deps.oauth.revoke(credentials.token)
        deps.oauth.revoke(credentials.refresh_token)


def _find(deps: Deps, session_id: str) -> tuple[Credentials, int]:
    with deps.db.read() as connection:
        found = store.get(connection, _hash(session_id), now=deps.clock())
    if found is None:
        raise _over()
    try:
        opened = _box(deps, session_id).decrypt(found.sealed)
    except InvalidToken as error:
        # The server's secret key is another one now.
        raise _over() from error
    return Credentials(**json.loads(opened)), found.refresh_ms


def _refreshed(deps: Deps, session_id: str, old: Credentials) -> Credentials:
    now, key = deps.clock(), _hash(session_id)
    if deps.oauth is None:
        raise _over()
    with deps.db.write() as connection:
        ours = store.claim(connection, key, now=now, until_ms=now + _CLAIM_MS)
    if not ours:
        return _renewed_elsewhere(deps, session_id, old)
    try:
        made = deps.oauth.refresh(old.refresh_token)
    except MltrailError as error:
        if error.code is Code.UNAUTHENTICATED:
            with deps.db.write() as connection:
                store.delete(connection, key)
            raise _over() from error
        # The next try is a while away, as long as the old token is good.
        good = old.expires_ms is not None and now < old.expires_ms
        _keep(deps, session_id, old, refresh_ms=now + _CLAIM_MS if good else now)
        if good:
            return old
        raise
    fresh = Credentials(made.access_token, made.refresh_token, made.expires_ms)
    _keep(deps, session_id, fresh, refresh_ms=_refresh_ms(fresh))
    return fresh


def _keep(deps: Deps, session_id: str, credentials: Credentials, *, refresh_ms: int) -> None:
    sealed = _sealed(deps, session_id, credentials)
    with deps.db.write() as connection:
        store.put(connection, _hash(session_id), sealed=sealed, refresh_ms=refresh_ms)


def _renewed_elsewhere(deps: Deps, session_id: str, old: Credentials) -> Credentials:
    """Wait a moment for the request that changes the token: at GitLab the old one is worthless from then on."""
    pause = threading.Event()
    for _ in range(_LOOKS):
        found = _find(deps, session_id)[0]
        if found != old:
            return found
        pause.wait(_LOOK_SECONDS)
    if old.expires_ms is not None and deps.clock() < old.expires_ms:
        return old
    raise unavailable("Your session is just being renewed; load the page again.")


def _refresh_ms(credentials: Credentials) -> int:
    return _NEVER_MS if credentials.expires_ms is None else credentials.expires_ms - _EARLY_MS


def _sealed(deps: Deps, session_id: str, credentials: Credentials) -> str:
    return _box(deps, session_id).encrypt(json.dumps(asdict(credentials)).encode()).decode()


def _box(deps: Deps, session_id: str) -> Fernet:
    key = hmac.digest(deps.settings.secret_key.encode(), f"web session {session_id}".encode(), "sha256")
    return Fernet(base64.urlsafe_b64encode(key))


def _hash(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _over() -> MltrailError:
    return unauthenticated("You are signed out. Sign in to see this page.")


def sign_in_with_token(deps: Deps, token: str) -> str:
    """Begin a session with an access token, or with local mode's; answer its id.

    The token is looked at first, so that a wrong one is told at once and leaves nothing here. Raises UNAUTHENTICATED.
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
    """Answer the address of GitLab's login page. Raises CONFLICT where there is none."""
    if deps.oauth is None:
        raise conflict(
            "This server has no application in GitLab, so sign in with a token. The operator sets "
            "MLTRAIL_OAUTH_CLIENT_ID for more."
        )
    return deps.oauth.authorize_url(state=state, verifier=verifier)


def sign_in_with_code(deps: Deps, code: str, verifier: str) -> str:
    """Begin a session with the code that GitLab has given to the browser; answer its id."""
    if deps.oauth is None:
        raise conflict("This server has no application in GitLab.")
    made = deps.oauth.exchange(code, verifier)
    return begin(deps, Credentials(made.access_token, made.refresh_token, made.expires_ms))


def visible_projects(deps: Deps, token: str) -> list[tuple[ProjectId, str]]:
    """List number and path of the projects that the bearer of a token is a member of, by path.

    Membership is GitLab's to tell, and it is asked each time: two calls for up to a hundred projects.
    """
    if deps.team is None:
        authentication.check_local(deps, token)
        with deps.db.read() as connection:
            return projects.known(connection, None)
    told = deps.team.access_tokens.projects(token)
    allowed = {
        number: path for number, path in told.items() if projects_service.is_allowed(deps.settings.namespaces, path)
    }
    with deps.db.read() as connection:
        found = projects.known(connection, sorted(allowed))
    # GitLab's path is the newer one: a project may have moved since it was used here.
    return sorted(((number, allowed[number]) for number, _ in found), key=lambda one: one[1].lower())
