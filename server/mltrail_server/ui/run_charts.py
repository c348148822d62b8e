"""The charts of one run, what was measured of its machine, and the page of one metric."""

import math
from itertools import accumulate

from flask.typing import ResponseReturnValue

from mltrail_server.domain import system_metrics
from mltrail_server.domain.candidate import Point
from mltrail_server.domain.direction import is_system
from mltrail_server.domain.metric_sections import natural, sections
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate, charts
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.tracking import histories
from mltrail_server.store.tracking.histories import CurveAxis

from . import run_head
from .chart_state import ChartState
from .charts import ChartLine

_POINTS = 200
_MOST_CHARTS = 400
_OPEN = 16
"""Sections are open until this many charts are on the page; the others are opened by the reader."""
_HOST_TAGS = ("host", "hostname", "node", "machine")


def show(call: Call, iid: int) -> ResponseReturnValue:
    """Show all metrics of a run: charts by the prefix of their names, and what was logged only once."""
    view = candidate.get(call.scope, iid)
    find = call.request.args.get("find", "").strip()
    metrics = [point for point in view.run.metrics if not is_system(point.key)]
    found = [point for point in metrics if find.lower() in point.key.lower()]
    once = _once(call, iid, found)
    curves = [point.key for point in found if point not in once]
    shown = sections(curves[:_MOST_CHARTS])
    return run_head.page(
        call,
        "run_charts.html",
        "charts",
        view,
        find=find,
        metrics_count=len(metrics),
        found_count=len(found),
        left_out=len(curves) - min(len(curves), _MOST_CHARTS),
        sections=list(zip(shown, accumulate((len(one.charts) for one in shown), initial=0), strict=False)),
        most_open=len(curves) if find else _OPEN,
        once=once,
        **_drawn(call, view),
    )


def _once(call: Call, iid: int, points: list[Point]) -> list[Point]:
    """Find what was logged only once. Only a metric whose latest step is 0 is looked at: it may still be a history."""
    first = [point for point in points if point.step == 0]
    several = charts.repeated(call.scope, iid, [point.key for point in first]) if first else set()
    return sorted((point for point in first if point.key not in several), key=lambda point: natural(point.key))


def system(call: Call, iid: int) -> ResponseReturnValue:
    """Show what was measured of the machine while a run ran."""
    view = candidate.get(call.scope, iid)
    keys = sorted((point.key for point in view.run.metrics if is_system(point.key)), key=natural)
    return run_head.page(
        call,
        "run_system.html",
        "system",
        view,
        keys=keys,
        titles={key: system_metrics.title(key) for key in keys},
        hosts=[(key, value) for key, value in view.run.tags if key.rpartition(".")[2].lower() in _HOST_TAGS],
        **_drawn(call, view, CurveAxis.TIME),
    )


def metric(call: Call, iid: int) -> ResponseReturnValue:
    """Show one metric of a run: its chart, its range, and a page of its points."""
    view = candidate.get(call.scope, iid)
    key = call.request.args.get("key", "")
    readings, token = histories.page(
        call.scope, view.run.candidate.eid, key, limit=_POINTS, token=call.request.args.get("page")
    )
    points = [Point(key, math.nan if value is None else value, at, step) for value, at, step in readings]
    latest = next((point for point in view.run.metrics if point.key == key), None)
    found = charts.curves(call.scope, [iid], [key]) if latest else []
    return run_head.page(
        call,
        "metric.html",
        "system" if is_system(key) else "charts",
        view,
        key=key,
        points=points,
        latest=latest,
        next_token=token,
        curve=next((curve for chart in found for curve in chart.curves), None),
        **_drawn(call, view),
    )


def _drawn(call: Call, view: CandidateView, axis: CurveAxis = CurveAxis.STEP) -> dict[str, object]:
    one = view.run.candidate
    return {
        "lines": [ChartLine(one.iid, one.name, 0)],
        "state": ChartState.read(call.request.args, axis=axis),
    }
