"""The pages: experiments, candidates, models. Each asks one service and fills one template."""

from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services import models, search, versions

from .render import page

_MOST_EXPERIMENTS = 200


def experiment_list(call: Call) -> ResponseReturnValue:
    found = search.experiments(call.scope, limit=_MOST_EXPERIMENTS, token=call.request.args.get("page"))
    return page(call, "experiments.html", experiments=found.items, next_token=found.next_token)


def model_list(call: Call) -> ResponseReturnValue:
    found = models.search(call.scope, limit=_MOST_EXPERIMENTS)
    return page(call, "models.html", models=found.items)


def model(call: Call, name: str) -> ResponseReturnValue:
    registered = models.get(call.scope, name)
    if "'" in name:
        raise invalid("A model's page can't be shown while its name holds a quote; rename it.")
    found = versions.search(call.scope, filter_text=f"name = '{name}'", order_by=["version_number DESC"], limit=200)
    return page(call, "model.html", name=name, registered=registered, versions=found.items)
