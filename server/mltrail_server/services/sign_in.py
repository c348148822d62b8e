"""Sign in at a browser: by GitLab's own login, or with a token."""

from mltrail_server.domain import tokens
from mltrail_server.domain.errors import conflict, unauthenticated, unavailable

from . import authentication, web_sessions
from .deps import Deps
from .web_sessions import Credentials


def with_token(deps: Deps, token: str) -> str:
    """Begin a session with an access token, or with local mode's; answer its id.

    The token is looked at first, so that a wrong one is told at once and leaves nothing here. Raises UNAUTHENTICATED.
    """
    token = tokens.bare(token)
    if deps.settings.local_mode:
        authentication.check_local(deps, token)
    else:
        tokens.check_form(token)
        if tokens.is_job_token(token) or tokens.is_jwt(token):
            raise unauthenticated("A job's token is for its job. Sign in with an access token of your own.")
        if deps.access_tokens is None:
            raise unavailable("This server has no connection to a GitLab.")
        deps.access_tokens.check(token)
    return web_sessions.begin(deps, Credentials(token))


def address(deps: Deps, *, state: str, verifier: str) -> str:
    """Answer the address of GitLab's login page. Raises CONFLICT where there is none."""
    if deps.oauth is None:
        raise conflict(
            "This server has no application in GitLab, so sign in with a token. The operator sets "
            "MLTRAIL_OAUTH_CLIENT_ID for more."
        )
    return deps.oauth.authorize_url(state=state, verifier=verifier)


def with_code(deps: Deps, code: str, verifier: str) -> str:
    """Begin a session with the code that GitLab has given to the browser; answer its id."""
    if deps.oauth is None:
        raise conflict("This server has no application in GitLab.")
    made = deps.oauth.exchange(code, verifier)
    return web_sessions.begin(deps, Credentials(made.access_token, made.refresh_token, made.expires_ms))
