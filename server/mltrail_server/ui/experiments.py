"""The experiments of a project."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain.candidate import ViewType
from mltrail_server.http.call import Call
from mltrail_server.services.pages import experiments

from .render import page

_PAGE = 50


def show(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    find, order = arguments.get("find", "").strip(), arguments.get("order", "")
    deleted = arguments.get("view") == "deleted"
    found = experiments.page(
        call.scope,
        text=find,
        order=order,
        view=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
        limit=_PAGE,
        token=arguments.get("page"),
    )
    return page(
        call,
        "experiments.html",
        section="experiments",
        experiments=found.items,
        next_token=found.next_token,
        most=experiments.MOST_COUNTED,
        find=find,
        order=order,
        deleted=deleted,
    )
