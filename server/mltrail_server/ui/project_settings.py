"""How a project is set up: what to include, how to log from elsewhere, your role, and how much is used."""

from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.pages import usage

from .render import page


def show(call: Call) -> ResponseReturnValue:
    return page(
        call,
        "settings.html",
        section="settings",
        project_id=call.project_id,
        role=call.actor.role.name.capitalize() if call.actor.role else "",
        use=usage.of(call.scope),
        webhooks=usage.last_webhooks(call.scope),
        local=call.deps.settings.local_mode,
    )
