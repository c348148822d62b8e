"""The experiments of a project."""

from urllib.parse import urlencode

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain.candidate import Stage, ViewType
from mltrail_server.http.call import Call
from mltrail_server.services.pages import consequences, experiments
from mltrail_server.services.pages.experiments import ExperimentOrder
from mltrail_server.services.tracking import experiments as tracking
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


def edit(call: Call, iid: int) -> ResponseReturnValue:
    """Offer to rename, describe or delete an experiment, and say beside each what it does to evidence. That looks
    through all of its runs, so it is a page of its own.
    """
    experiment = tracking.get(call.scope, iid)
    if experiment.stage is Stage.DELETED:
        return redirect(f"{call.pages}/experiments/{iid}", 303)
    possible = consequences.of_experiment(call.scope, experiment)
    return page(call, "experiment_edit.html", section="experiments", experiment=experiment, edit=possible)


def _order(text: str) -> ExperimentOrder:
    return ExperimentOrder(text) if text in set(ExperimentOrder) else ExperimentOrder.CHANGED
