"""Sign in with GitLab or with a token, and out again. These URLs are open to anybody, and show nothing of projects."""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from flask import redirect, render_template, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import Code, MltrailError, invalid, unauthenticated
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import sessions

from . import sentences, session

_PATH = re.compile(r"/(?!/)[^\x00-\x1f\x7f-\x9f\u2028\u2029\\]*")

_REFUSED = {Code.UNAUTHENTICATED: 401, Code.FORBIDDEN: 403}
"""What is wrong with a token is shown above the form."""


def form(deps: Deps) -> ResponseReturnValue:
    return _page(deps, _inside(deps, request.args))


def enter(deps: Deps) -> ResponseReturnValue:
    session.check_form(request)
    target = _inside(deps, request.form)
    token = request.form.get("token", "").strip()
    if not token:
        raise invalid("Give the token.")
    try:
        session.keep(sessions.sign_in_with_token(deps, token))
    except MltrailError as error:
        if error.code not in _REFUSED:
            raise  # the token may be right: GitLab does not respond, or the session can't be stored
        return _page(deps, target, problem=sentences.of(error)), _REFUSED[error.code]
    return redirect(target, 303)


def to_gitlab(deps: Deps) -> ResponseReturnValue:
    state, verifier = session.begin_login(_inside(deps, request.args))
    return redirect(sessions.sign_in_address(deps, state=state, verifier=verifier), 303)


def back_from_gitlab(deps: Deps) -> ResponseReturnValue:
    verifier, target = session.end_login(request.args.get("state", ""))
    code = request.args.get("code")
    if code is None:
        # `error` is not shown, because the author of a link can choose its text.
        raise unauthenticated("GitLab did not let you in, or you said no. Sign in again, or with a token.")
    session.keep(sessions.sign_in_with_code(deps, code, verifier))
    return redirect(target, 303)


def leave(deps: Deps) -> ResponseReturnValue:
    session.check_form(request)
    session_id = session.forget()
    if session_id is not None:
        sessions.end(deps, session_id)
    return redirect(f"{deps.settings.root_path}/-/sign-in", 303)


def _inside(deps: Deps, given: Mapping[str, str]) -> str:
    """Read where to go next, and keep it on this site: a path that begins with a single slash, names no other host,
    and is below our own path. Browsers ignore tabs and line breaks, and treat a backslash as a slash.
    """
    home = f"{deps.settings.root_path}/"
    target = given.get("next", home)
    return target if _PATH.fullmatch(target) and target.startswith(home) and not _climbs(target) else home


def _page(deps: Deps, target: str, *, problem: str | None = None) -> str:
    return render_template(
        "sign_in.html",
        next=target,
        problem=problem,
        by_gitlab=deps.oauth is not None,
        local_mode=deps.settings.local_mode,
    )


def _climbs(target: str) -> bool:
    """Return whether a browser would leave the path that a target begins with."""
    path = unquote(target.partition("?")[0].partition("#")[0])
    return ".." in path.split("/")
