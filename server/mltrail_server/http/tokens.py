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
    # Werkzeug parses a bearer token that contains `=` as a list of parameters; and most calls need none of its parsing.
    scheme, _, rest = request.environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else _password(request)
    token = token or request.headers.get("PRIVATE-TOKEN") or request.headers.get("JOB-TOKEN")
    if not token:
        raise unauthenticated(f"This request has no token. {HOW}")
    return bare(token)


def _password(request: Request) -> str | None:
    return None if request.authorization is None else request.authorization.password
