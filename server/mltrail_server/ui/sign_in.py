"""Sign in with GitLab or with a token, and out again."""

from urllib.parse import urlsplit

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import MltrailError, invalid, unauthenticated
from mltrail_server.services import sign_in, web_sessions
from mltrail_server.services.deps import Deps

from . import session


class SignIn:
    """The URLs of signing in; each is open to anybody, and tells nothing about any project."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    def form(self) -> ResponseReturnValue:
        return self._page(_inside(request.args.get("next", "/")))

    def enter(self) -> ResponseReturnValue:
        session.check_form(request)
        target = _inside(request.form.get("next", "/"))
        token = request.form.get("token", "").strip()
        if not token:
            raise invalid("Give the token.")
        try:
            session.keep(sign_in.with_token(self._deps, token))
        except MltrailError as error:
            return self._page(target, problem=error.message), 401
        return redirect(target, 303)

    def to_gitlab(self) -> ResponseReturnValue:
        state, verifier = session.begin_login(_inside(request.args.get("next", "/")))
        return redirect(sign_in.address(self._deps, state=state, verifier=verifier), 303)

    def back_from_gitlab(self) -> ResponseReturnValue:
        verifier, target = session.end_login(request.args.get("state", ""))
        code = request.args.get("code")
        if code is None:
            # `error` is not shown: whoever makes a link chooses its text.
            raise unauthenticated("GitLab did not let you in, or you said no. Sign in again, or with a token.")
        session.keep(sign_in.with_code(self._deps, code, verifier))
        return redirect(target, 303)

    def leave(self) -> ResponseReturnValue:
        session.check_form(request)
        session_id = session.forget()
        if session_id is not None:
            web_sessions.end(self._deps, session_id)
        return redirect("/-/sign-in", 303)

    def _page(self, target: str, *, problem: str | None = None) -> str:
        return render_template(
            "sign_in.html",
            next=target,
            problem=problem,
            by_gitlab=self._deps.oauth is not None,
            local_mode=self._deps.settings.local_mode,
        )


def _inside(target: str) -> str:
    """Keep a redirection on this site: a path with one slash in front, no other host."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    plain = not parts.scheme and not parts.netloc and target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if plain and "\\" not in target else "/"


def secured(response: Response) -> Response:
    """Add to every page: nothing is loaded from elsewhere, nothing inline runs, nobody frames it."""
    if (response.content_type or "").startswith("text/html"):
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
