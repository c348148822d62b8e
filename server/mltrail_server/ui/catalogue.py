"""The catalogue of models over all projects that a person may see."""

from collections.abc import Callable

from flask import request
from flask.typing import ResponseReturnValue

from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.services.pages import catalogue

from . import session
from .across import Across


def page(deps: Deps) -> Callable[[], ResponseReturnValue]:
    find_token = session.finder(deps)

    def show() -> ResponseReturnValue:
        token, arguments = find_token(request), request.args
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

    return show
