"""The charts of one run, and the page of one of its metrics."""

import math

from flask.typing import ResponseReturnValue

from mltrail_server.domain.candidate import Point
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate
from mltrail_server.services.tracking import histories

from .chart_state import ChartState
from .charts import ChartLine
from .render import page

_POINTS = 200


def metric(call: Call, iid: int) -> ResponseReturnValue:
    """Show one metric of a run: its chart, and a page of its points."""
    view = candidate.get(call.scope, iid)
    key = call.request.args.get("key", "")
    readings, token = histories.page(
        call.scope, view.run.candidate.eid, key, limit=_POINTS, token=call.request.args.get("page")
    )
    points = [Point(key, math.nan if value is None else value, at, step) for value, at, step in readings]
    latest = next((point for point in view.run.metrics if point.key == key), None)
    return page(
        call,
        "metric.html",
        section="experiments",
        view=view,
        one=view.run.candidate,
        key=key,
        points=points,
        latest=latest,
        next_token=token,
        lines=[ChartLine(iid, view.run.candidate.name, 0)],
        state=ChartState.read(call.request.args),
    )
