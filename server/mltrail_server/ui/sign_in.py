"""Sign in with a token, and out again."""

from urllib.parse import urlsplit

from flask import Response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid

from . import session

_OWN = "same-origin"


def form() -> ResponseReturnValue:
    return render_template("sign_in.html", next=_inside(request.args.get("next", "/")))


def enter() -> ResponseReturnValue:
    _check_origin()
    token = request.form.get("token", "").strip()
    if not token:
        raise invalid("Give the token.")
    session.keep(token)
    return redirect(_inside(request.form.get("next", "/")), 303)


def leave() -> ResponseReturnValue:
    _check_origin()
    session.forget()
    return redirect("/-/sign-in", 303)


def _check_origin() -> None:
    """Refuse forms that another site sends: browsers tell where a request comes from."""
    site = request.headers.get("Sec-Fetch-Site", _OWN)
    origin = request.headers.get("Origin")
    if site not in (_OWN, "none") or (origin and urlsplit(origin).netloc != request.host):
        raise invalid("This form was sent from another site.")


def _inside(target: str) -> str:
    """Keep a redirection on this site: a path with one slash in front, no other host."""
    parts = urlsplit(target)
    plain = not parts.scheme and not parts.netloc and target.startswith("/") and target[1:2] not in ("/", "\\")
    return target if plain and "\\" not in target else "/"


def secured(response: Response) -> Response:
    """Add to every page: nothing is loaded from elsewhere, nothing inline runs, nobody frames it."""
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        )
        response.headers["Cache-Control"] = "no-store"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    return response
