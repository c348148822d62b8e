"""Prompts: their versions, what differs between two, and where aliases point."""

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.pages import prompts

from . import differences
from .render import page, segment

_PROMPTS = 50
_VERSIONS = 50


def listed(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    found, next_token = prompts.listed(call.scope, text=find, limit=_PROMPTS, token=arguments.get("page"))
    return page(call, "prompts.html", section="prompts", prompts=found, next_token=next_token, find=find)


def show(call: Call, name: str) -> ResponseReturnValue:
    """Show a prompt with one of its versions, by default the newest, or with what differs between two."""
    arguments = call.request.args
    view = prompts.get(call.scope, name, limit=_VERSIONS, token=arguments.get("page"))
    old, new = arguments.get("from", ""), arguments.get("to", "")
    before = prompts.version(call.scope, name, old) if old and new else None
    after = prompts.version(call.scope, name, new) if old and new else None
    chosen = arguments.get("version", "")
    known = next((one for one in view.versions if str(one.version.number) == chosen), None)
    shown = known or (prompts.version(call.scope, name, chosen) if chosen else next(iter(view.versions), None))
    changed = before and after and differences.both(before.content.text, after.content.text)
    config = before and after and differences.both(before.content.config, after.content.config)
    return page(
        call,
        "prompt.html",
        section="prompts",
        view=view,
        name=name,
        shown=shown,
        before=before,
        after=after,
        changed=changed,
        config=config,
        maintainer=call.actor.has_maintainer_rights,
    )


def moved(call: Call, name: str) -> ResponseReturnValue:
    """Go from a model's page to a prompt's: to the registry, a prompt is a model."""
    return redirect(f"{call.pages}/prompts/{segment(name)}", 302)
