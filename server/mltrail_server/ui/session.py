"""Who looks at a page: the token that was given at sign-in, kept in a signed cookie that scripts can't read.

A stopgap until GitLab's own login: the cookie holds the token itself, so it is as secret as the token.
"""

from urllib.parse import urlsplit

from flask import Flask, Request, session

from mltrail_server.domain.errors import unauthenticated
from mltrail_server.settings import Settings

_KEY = "token"


def configure(app: Flask, settings: Settings) -> None:
    app.secret_key = settings.secret_key
    app.config.update(
        SESSION_COOKIE_NAME="mltrail_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=urlsplit(settings.external_url).scheme == "https",
    )


def token_of(request: Request) -> str:
    """Read the token of the browser's session. Raises UNAUTHENTICATED, which the pages answer with the sign-in form."""
    del request
    token = session.get(_KEY)
    if not isinstance(token, str):
        raise unauthenticated("Sign in to see this page.")
    return token


def keep(token: str) -> None:
    session.clear()
    session[_KEY] = token


def forget() -> None:
    session.clear()
