"""A run at a glance: where it comes from and what it became, its metrics in brief, parameters, inputs, and how to load
it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask.typing import ResponseReturnValue
from markupsafe import Markup

from mltrail_server.domain import numbers
from mltrail_server.domain.candidate import Point
from mltrail_server.domain.trace_metrics import PREFIX
from mltrail_server.http.call import Call
from mltrail_server.services.pages import candidate, overview
from mltrail_server.services.pages.candidate import CandidateView
from mltrail_server.services.pages.overview import MetricInBrief, UsualValue
from mltrail_server.services.registry import versions
from mltrail_server.store.tracking.inputs import Direction

from . import run_head, sparklines, values

_MOST_ROWS = 500
_MOST_VERSIONS = 50
_MOST_SCHEMA = 20_000


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric as a line of the table; `brief` is None for those that only have their last value here."""

    point: Point
    brief: MetricInBrief | None = None
    spark: Markup | str = ""


@dataclass(frozen=True, slots=True)
class ParamRow:
    """A parameter; `usual` is what most runs of the experiment have instead, and how many."""

    key: str
    value: str
    usual: tuple[str, str] | None = None


def show(call: Call, iid: int) -> ResponseReturnValue:
    view = candidate.get(call.scope, iid)
    find = call.request.args.get("find", "").strip()
    brief = overview.get(call.scope, view, find=find, sees_traces=call.sees_traces)
    made = versions.search(call.scope, filter_text=f"run_id = '{view.run.candidate.eid}'", limit=_MOST_VERSIONS)
    metrics, params = _metrics(view, brief.metrics, find), _params(view, brief.usual, find)
    tags = [(key, value) for key, value in run_head.own_tags(view) if find.lower() in key.lower()]
    return run_head.page(
        call,
        "run_overview.html",
        "overview",
        view,
        find=find,
        brief=brief,
        metrics=metrics[:_MOST_ROWS],
        metrics_count=len(metrics),
        params=params[:_MOST_ROWS],
        params_count=len(params),
        shown_tags=tags[:_MOST_ROWS],
        tags_count=len(tags),
        commit=dict(view.run.tags).get("mlflow.source.git.commit"),
        versions=[one for one in made.items if not one.is_prompt],
        spent=_spent(brief.spent),
        model_ids=run_head.outputs(view),
        input_ids=run_head.linked(view, Direction.INPUT),
    )


def _metrics(view: CandidateView, brief: Sequence[MetricInBrief], find: str) -> list[MetricRow]:
    """List the metrics in brief first, then the others by name."""
    first = [MetricRow(one.point, one, _spark(one)) for one in brief]
    shown = {one.point.key for one in brief}
    rest = [MetricRow(point) for point in view.run.metrics if point.key not in shown]
    return [*first, *(row for row in rest if find.lower() in row.point.key.lower())]


def _spark(one: MetricInBrief) -> Markup | str:
    if one.history is None or len(one.history.parts) < 2:
        return ""
    low, high = numbers.number(one.history.low), numbers.number(one.history.high)
    return sparklines.drawn(one.history.parts, f"{one.history.count:,} values between {low} and {high}")


def _params(view: CandidateView, usual: Mapping[str, UsualValue], find: str) -> list[ParamRow]:
    """List the parameters that make the run different first."""
    rows = [
        ParamRow(key, value, _usually(usual[key]) if key in usual else None)
        for key, value in view.run.params
        if find.lower() in key.lower()
    ]
    return sorted(rows, key=lambda row: row.usual is None)


def _usually(one: UsualValue) -> tuple[str, str]:
    value = "not set" if one.value is None else values.line(one.value, 60) or "empty"
    return value, f"in {one.runs} of the {one.of} newest other runs"


def _spent(metrics: Mapping[str, float]) -> list[tuple[str, str]]:
    """Name what the run's traces have taken; NaN where some of them are deleted."""
    return [
        (name.removeprefix(PREFIX).replace("_", " "), "unknown" if math.isnan(value) else numbers.number(value))
        for name, value in metrics.items()
    ]
