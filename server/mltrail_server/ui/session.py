"""The browser's side of a session: one signed cookie that scripts can't read, with a random id and no token in it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from mltrail_server.domain import limits
from mltrail_server.domain.errors import forbidden, unauthenticated
from mltrail_server.http.bodies import read_form, unauthenticated_body
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import sessions
from mltrail_server.settings import Settings

_ID = "id"
_CSRF = "csrf"
_LOGIN = "login"
_TICKET = "ticket"
_TOO_OLD = "This form is too old, or was sent from another site. Go back, load the page again, and retry."
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class _Sessions(SecureCookieSessionInterface):
    """Flask's own sessions. It creates a signer for each request, which takes longer than everything else that Flask
    does in a call, and training jobs send no cookie.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return super().open_session(app, request) if "HTTP_COOKIE" in request.environ else self.session_class()


def configure(app: Flask, settings: Settings) -> None:
    app.secret_key = settings.secret_key
    app.session_interface = _Sessions()
    app.config.update(
        MLTRAIL_HOST=urlsplit(settings.external_url).netloc,
        SESSION_COOKIE_NAME="mltrail_session",
        SESSION_COOKIE_PATH=settings.root_path or "/",  # so that other applications on this host do not get it
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=urlsplit(settings.external_url).scheme == "https",
        PERMANENT_SESSION_LIFETIME=timedelta(milliseconds=sessions.LIFETIME_MS),
    )


def finder(deps: Deps) -> Callable[[Request], str]:
    """Return a function that finds a page's token: in the session, and for anything that changes something only with
    the form's own token (see `check_form`). It raises UNAUTHENTICATED, which the pages answer with the sign-in form.
    """

    def token_of(request: Request) -> str:
        session_id = session.get(_ID)
        if not isinstance(session_id, str):
            raise unauthenticated("Sign in to see this page.")
        if request.method not in _SAFE:
            check_form(request)
        return sessions.token_of(deps, session_id)

    return token_of


def keep(session_id: str) -> None:
    """Begin anew: nothing that the browser had before counts any longer."""
    session.clear()
    session.permanent = True
    session[_ID] = session_id


def forget() -> str | None:
    """End the browser's side, and return the id that it had."""
    session_id = session.get(_ID)
    session.clear()
    return session_id if isinstance(session_id, str) else None


def csrf_token() -> str:
    """Return the value that every form of this session sends along; another site can't know it. It is written
    differently each time: see `ui.compression`.
    """
    if _CSRF not in session:
        session[_CSRF] = secrets.token_urlsafe(24)
    kept = str(session[_CSRF]).encode()
    mask = secrets.token_bytes(len(kept))
    return base64.urlsafe_b64encode(mask + _crossed(mask, kept)).decode()


def check_form(request: Request) -> None:
    """Refuse a form that does not come from one of this session's own pages, or is larger than any of them.

    Raises FORBIDDEN, TOO_LARGE, or UNAVAILABLE while too many forms without a session are being sent.
    """
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    # A proxy may use another name for us than the browser does.
    ours = (request.host, current_app.config["MLTRAIL_HOST"] or request.host)
    if site not in ("same-origin", "none") or (origin and origin.partition("://")[2] not in ours):
        raise forbidden("This form was sent from another site.")
    if _TICKET in request.args:
        # A form with files, whose body is read by its handler: its ticket stands in the address, before the bytes.
        if not _same(request.args[_TICKET], _ticket_for(request.path)):
            raise forbidden(_TOO_OLD)
        return
    request.max_content_length = limits.MAX_FORM
    with nullcontext() if session.get(_ID) else unauthenticated_body():
        read_form(request, limits.MAX_FORM)
    if not _same(_unmasked(request.form.get("csrf_token", "")), str(session.get(_CSRF, ""))):
        raise forbidden(_TOO_OLD)


def _unmasked(given: str) -> str:
    """Read what `csrf_token` has written; nothing if it is anything else."""
    try:
        both = base64.urlsafe_b64decode(given)
        half = len(both) // 2
        return _crossed(both[:half], both[half:]).decode()
    except ValueError:
        return ""


def _crossed(mask: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(mask, text, strict=True))


def ticket(path: str) -> str:
    """Return what a form with files sends in its address in place of the session's token, which would be logged there:
    it is good for this session and this path, without the root path, alone.
    """
    csrf_token()
    return _ticket_for(path)


def _ticket_for(path: str) -> str:
    key = str(session.get(_CSRF, ""))
    return hmac.new(key.encode(), path.encode(), hashlib.sha256).hexdigest() if key and session.get(_ID) else ""


def begin_login(target: str) -> tuple[str, str]:
    """Note that the browser goes to GitLab's login, and return PKCE's verifier and the state that must come back."""
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    session[_LOGIN] = {"state": state, "verifier": verifier, "next": target}
    return state, verifier


def end_login(state: str) -> tuple[str, str]:
    """Return verifier and target of the login that this browser began. Raises FORBIDDEN if it began no such login."""
    login = session.pop(_LOGIN, None)
    if not isinstance(login, dict) or not _same(state, str(login["state"])):
        raise forbidden("This sign-in was not begun in this browser, or is too old. Begin again.")
    return str(login["verifier"]), str(login["next"])


def _same(one: str, other: str) -> bool:
    return bool(other) and hmac.compare_digest(one.encode(), other.encode())
