"""Where GitLab delivers its webhooks. An event is only recorded; the worker handles it, never the request."""

from typing import TYPE_CHECKING

from flask import Flask, Response, request

from mltrail_server.domain import webhook_secrets
from mltrail_server.domain.errors import MltrailError, unauthenticated
from mltrail_server.http.bodies import read_body, unauthenticated_body
from mltrail_server.http.routes import mount_public
from mltrail_server.later import later
from mltrail_server.services.context.deps import Deps

if TYPE_CHECKING:
    from mltrail_server.services.ci import events

    from . import payloads
else:
    [payloads] = later(__package__, "payloads")
    [events] = later("mltrail_server.services.ci", "events")

PATH = "/api/webhooks/gitlab"


def mount_all(app: Flask, deps: Deps) -> None:
    """Register the URL, if the operator has set a secret for it."""
    secrets = deps.settings.webhook_secrets
    if secrets and deps.team is not None:
        mount_public(app, PATH, lambda: _receive(deps, secrets), method="POST")


def _receive(deps: Deps, secrets: list[str]) -> Response:
    headers = dict(request.headers)
    # Checked before the body is read, which can be large or endless.
    if webhook_secrets.bears_token(secrets, headers):
        body = read_body(request)
    elif "webhook-signature" in request.headers:
        with unauthenticated_body():
            body = read_body(request)
        if not webhook_secrets.is_genuine(secrets, headers, body, now_ms=deps.clock()):
            raise _refused()
    else:
        raise _refused()
    found = payloads.event_of(body)
    if found is not None:
        events.take(deps, found)
    # The same for every project, whether it is known here or not.
    return Response(status=204)


def _refused() -> MltrailError:
    return unauthenticated(
        "This webhook does not come from this server's GitLab: the secret is missing or wrong. It is set in GitLab "
        "(Settings > Webhooks) and as MLTRAIL_WEBHOOK_SECRET."
    )
