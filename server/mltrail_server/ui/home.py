"""The first page: what goes on in all projects that a person can see, or what mltrail is, for anyone not signed in."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.identity import memberships
from mltrail_server.services.pages import home
from mltrail_server.store.pages.home import FailedModel

from . import session
from .across import Across

_MOST_RULES = 3
_NOT_TRAINED = "not trained here"  # of `ModelReport.failures`


def show(deps: Deps) -> ResponseReturnValue:
    find = request.args.get("find", "").strip()[:200]
    try:
        token = session.finder(deps)(request)
        with deps.slow_call_limit.hold_across(memberships.caller(token)):
            view = home.view(deps, token, find=find)
    except MltrailError as error:
        if error.code is not Code.UNAUTHENTICATED:
            raise
        return render_template("welcome.html", local=deps.settings.local_mode)
    return Across(deps).page(
        "home.html",
        section="home",
        view=view,
        find=find,
        most=home.MOST_COUNTED,
        days=home.CHAMPION_DAYS,
        most_of_experiment=home.MOST_OF_EXPERIMENT,
        broken=_broken,
    )


def _broken(model: FailedModel) -> str:
    """Say which rules a model breaks. They are kept with the model's name, and one says that it was not trained."""
    rules = sorted(one.removeprefix(f"{model.model}: ") for one in model.rules)
    if rules == [_NOT_TRAINED]:
        return f"{model.model} was not trained in this merge request."
    return f"{model.model} breaks {' and '.join(f'“{one}”' for one in rules[:_MOST_RULES])}{_rest(len(rules))}."


def _rest(count: int) -> str:
    return f" and {count - _MOST_RULES} more" if count > _MOST_RULES else ""
