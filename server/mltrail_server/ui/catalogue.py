"""The catalogue of models over all projects that a person may see."""

from flask import request
from flask.typing import ResponseReturnValue

from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.services.pages import catalogue

from . import session
from .across import Across


def show(deps: Deps) -> ResponseReturnValue:
    token, arguments = session.finder(deps)(request), request.args
    asked = {name: arguments.get(name, "").replace("\0", "").strip()[:200] for name in ("find", "group", "alias")}
    number = arguments.get("page", "")
    with deps.slow_call_limit.hold_across(memberships.caller(token)):
        found = catalogue.get(
            deps,
            token,
            name=asked["find"],
            group=asked["group"],
            alias=asked["alias"],
            page=int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else 1,
        )
    return Across(deps).page("catalogue.html", section="catalogue", found=found, asked=asked, most=catalogue.MOST)
