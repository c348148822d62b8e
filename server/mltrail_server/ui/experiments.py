"""The experiments of a project."""

from urllib.parse import urlencode

from flask.typing import ResponseReturnValue

from mltrail_server.domain.candidate import ViewType
from mltrail_server.http.call import Call
from mltrail_server.services.pages import experiments
from mltrail_server.services.pages.experiments import ExperimentOrder
from mltrail_server.services.tracking import saved_views

from .render import page

_PAGE = 50


def show(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    order = _order(arguments.get("order", ""))
    deleted = arguments.get("view") == "deleted"
    empty_models = arguments.get("models") == "1"
    found = experiments.page(
        call.scope,
        text=find,
        order=order,
        view=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
        empty_models=empty_models,
        limit=_PAGE,
        token=arguments.get("page"),
    )
    state = {"find": find, "order": order.value, "view": "deleted" if deleted else "", "models": "1" * empty_models}

    def link(**changes: str) -> str:
        """Write the query of this list with some of it changed; it begins at the first page."""
        return "?" + urlencode({name: value for name, value in (state | changes).items() if value})

    return page(
        call,
        "experiments.html",
        section="experiments",
        experiments=found.items,
        views=saved_views.of_experiments(call.scope, [listed.experiment.iid for listed in found.items]),
        next_token=found.next_token,
        most=experiments.MOST_COUNTED,
        find=find,
        order=order.value,
        deleted=deleted,
        link=link,
        left_out=found.left_out,
    )


def _order(text: str) -> ExperimentOrder:
    return ExperimentOrder(text) if text in set(ExperimentOrder) else ExperimentOrder.CHANGED
