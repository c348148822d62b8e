"""One run: what was logged to it, which job created it, its files, and how to load it."""

from flask.typing import ResponseReturnValue

from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.registry import versions
from mltrail_server.services.tracking import stamp
from mltrail_server.services.tracking.candidates import NAME_TAG
from mltrail_server.store.tracking.inputs import Direction

from . import run_head
from .edits.forms import NOTE

_MOST_ROWS = 300
_MOST_CHARTS = 12
_HIDDEN = frozenset({NAME_TAG, NOTE})


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    arguments = call.request.args
    find = arguments.get("find", "").strip()
    tags = dict(view.run.tags)
    # The page shows the stamp under CI already.
    hidden = {*_HIDDEN, *stamp.KEYS} if view.jobs else _HIDDEN
    metrics = [point for point in view.run.metrics if find.lower() in point.key.lower()]
    params = [(key, value) for key, value in view.run.params if find.lower() in key.lower()]
    own_tags = [(key, value) for key, value in tags.items() if key not in hidden and find.lower() in key.lower()]
    charts = [point.key for point in metrics if point.step > 0]
    most = len(charts) if "charts" in arguments else _MOST_CHARTS
    made = versions.search(call.scope, filter_text=f"run_id = '{view.run.candidate.eid}'", limit=50)
    return run_head.page(
        call,
        "run_overview.html",
        "overview",
        view,
        find=find,
        metrics=metrics[:_MOST_ROWS],
        metrics_count=len(metrics),
        charts=charts[:most],
        charts_count=len(charts),
        params=params[:_MOST_ROWS],
        params_count=len(params),
        tags=own_tags[:_MOST_ROWS],
        tags_count=len(own_tags),
        commit=tags.get("mlflow.source.git.commit"),
        versions=made.items,
        model_ids=run_head.outputs(view),
        input_ids=_linked(view, Direction.INPUT),
    )


def _linked(view: CandidateView, direction: Direction) -> list[str]:
    return [link.model_id for link in view.run.models if link.direction is direction]
