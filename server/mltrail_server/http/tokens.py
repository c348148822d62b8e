"""Find the token in a request."""

from flask import Request

from mltrail_server.domain.errors import unauthenticated
from mltrail_server.domain.tokens import bare

HOW = (
    "Set MLFLOW_TRACKING_TOKEN: in a CI job to an ID token (`id_tokens:` in .gitlab-ci.yml), "
    "elsewhere to a GitLab access token with the scope `api`; in local mode to the token that the server prints at "
    "start-up."
)


def token_of(request: Request) -> str:
    """Read the token from `Authorization: Bearer`, a basic-auth password, or GitLab's own headers.

    Raises UNAUTHENTICATED when there is none.
    """
    authorization = request.authorization
    token = None
    if authorization is not None:
        token = _bearer(request) if authorization.type == "bearer" else authorization.password
    token = token or request.headers.get("PRIVATE-TOKEN") or request.headers.get("JOB-TOKEN")
    if not token:
        raise unauthenticated(f"This request has no token. {HOW}")
    return bare(token)


def _bearer(request: Request) -> str:
    """Read the token as it was sent: Werkzeug parses one that contains `=` as a list of parameters."""
    return request.headers["Authorization"].partition(" ")[2].strip()
