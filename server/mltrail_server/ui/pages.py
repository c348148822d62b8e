"""The pages: experiments, candidates, models. Each asks one service and fills one template."""

from flask import render_template
from flask.typing import ResponseReturnValue

from mltrail_server.domain import paths
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.services import candidates, experiments, files, models, search, versions

_PAGE = 50
_MOST_EXPERIMENTS = 200


def experiment_list(call: Call) -> ResponseReturnValue:
    found = search.experiments(call.scope, limit=_MOST_EXPERIMENTS, token=call.request.args.get("page"))
    return _page(call, "experiments.html", experiments=found.items, next_token=found.next_token)


def candidate_list(call: Call, iid: int) -> ResponseReturnValue:
    """Show a page of an experiment's runs. A filter that is wrong is told above the table, not instead of it."""
    experiment = experiments.get(call.scope, iid)
    arguments = call.request.args
    text, order = arguments.get("filter", ""), arguments.get("order", "")
    wanted, problem = (text, [order] if order else []), None
    try:
        found = search.runs(
            call.scope,
            experiment_iids=[iid],
            filter_text=wanted[0],
            order_by=wanted[1],
            limit=_PAGE,
            token=arguments.get("page"),
        )
    except MltrailError as error:
        problem = error.message
        found = search.runs(call.scope, experiment_iids=[iid], limit=_PAGE)
    metrics = sorted({point.key for run in found.items for point in run.metrics})
    params = sorted({key for run in found.items for key, _ in run.params})
    return _page(
        call,
        "candidates.html",
        experiment=experiment,
        runs=found.items,
        metrics=metrics,
        params=params,
        filter=text,
        order=order,
        problem=problem,
        next_token=found.next_token,
    )


def candidate(call: Call, iid: int) -> ResponseReturnValue:
    run = candidates.get_by_iid(call.scope, iid)
    folder = paths.clean(call.request.args.get("folder", ""))
    root = f"{run.candidate.experiment_iid}/{run.candidate.eid}/artifacts"
    entries = files.listing(call.scope, paths.join(root, folder))
    tags = dict(run.tags)
    ci = {key.removeprefix("gitlab."): value for key, value in tags.items() if key.startswith("gitlab.")}
    return _page(
        call,
        "candidate.html",
        run=run,
        folder=folder,
        entries=entries,
        ci=ci,
        tags={key: value for key, value in tags.items() if not key.startswith("gitlab.")},
    )


def candidate_file(call: Call, iid: int, path: str) -> ResponseReturnValue:
    run = candidates.get_by_iid(call.scope, iid).candidate
    return attachment(
        call.scope, files.find(call.scope, f"{run.experiment_iid}/{run.eid}/artifacts/{path}"), call.request
    )


def model_list(call: Call) -> ResponseReturnValue:
    found = models.search(call.scope, limit=_MOST_EXPERIMENTS)
    return _page(call, "models.html", models=found.items)


def model(call: Call, name: str) -> ResponseReturnValue:
    registered = models.get(call.scope, name)
    if "'" in name:
        raise invalid("A model's page can't be shown while its name holds a quote; rename it.")
    found = versions.search(call.scope, filter_text=f"name = '{name}'", order_by=["version_number DESC"], limit=200)
    return _page(call, "model.html", name=name, registered=registered, versions=found.items)


def _page(call: Call, template: str, **values: object) -> str:
    base = f"/{call.actor.project_path}/-/ml"
    return render_template(
        template,
        base=base,
        project=call.actor.project_path,
        user=call.actor.user_name,
        url=call.deps.settings.external_url.rstrip("/") or call.request.host_url.rstrip("/"),
        project_id=call.project_id,
        **values,
    )
