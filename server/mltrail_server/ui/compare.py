"""Runs side by side: what differs, how far each is from a baseline, and their curves in one chart."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from flask import redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain import numbers
from mltrail_server.domain.direction import Better, MetricDirection, display_order, is_rate
from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import compare
from mltrail_server.services.pages.compare import Side

from . import messages
from .chart_state import ChartState
from .charts import ChartLine
from .colours import PALETTE
from .parallel import Value, plot
from .render import page, segment

NONE = "\N{EN DASH}"
_MOST_ROWS = 400
_MOST_CHARTS = 6
_MOST_AXES = 9


@dataclass(frozen=True, slots=True)
class Cell:
    """A value, and for a metric its signed distance from the baseline; `verdict` is better, worse or nothing."""

    text: str
    delta: str = ""
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class CompareRow:
    key: str
    cells: list[Cell]
    differs: bool
    direction: MetricDirection | None = None


def show(call: Call) -> ResponseReturnValue:
    arguments = call.request.args
    iids, base = _chosen_runs(call)
    if not iids:
        return _nothing_chosen(call)
    compared = compare.get(call.scope, iids)
    sides = compared.sides
    baseline = next((side for side in sides if side.candidate.iid == base), sides[0])
    params = _rows(sides, lambda side: side.params, _text)
    metrics = _metric_rows(sides, baseline, compared.directions)
    everything = arguments.get("all") == "1"
    curves = sorted({key for side in sides for key in side.curves}, key=display_order)
    chosen = [key for key in arguments.getlist("m") if key in curves] or curves[:_MOST_CHARTS]
    return page(
        call,
        "compare.html",
        section="experiments",
        sides=sides,
        baseline=baseline,
        everything=everything,
        params=_shown(params, everything=everything),
        metrics=_shown(metrics, everything=everything),
        equal=sum(not row.differs for row in [*params, *metrics]),
        query=[("run", side.candidate.iid) for side in sides],
        curves=curves,
        chosen=chosen,
        lines=[ChartLine(side.candidate.iid, side.candidate.name, place) for place, side in enumerate(sides)],
        state=ChartState.read(arguments),
        plot=plot(_axes(sides, [row.key for row in params if row.differs], _ranking(metrics))),
        colours=PALETTE,
        guesses=any(direction.guessed for direction in compared.directions.values()),
    )


def _axes(
    sides: Sequence[Side], params: Sequence[str], metrics: Sequence[str]
) -> list[tuple[str, str, Sequence[Value]]]:
    """Choose the axes of the parallel coordinates: the parameters that differ, and up to four metrics."""
    columns: list[tuple[str, str, Sequence[Value]]] = [
        (f"params.{name}", name, [side.params.get(name) for side in sides]) for name in params[: _MOST_AXES - 4]
    ]
    return columns + [(f"metrics.{name}", name, [side.metrics.get(name) for side in sides]) for name in metrics]


def _chosen_runs(call: Call) -> tuple[list[int], int]:
    """Read the numbers of the runs to compare, and of the one that the others are compared with."""
    arguments = call.request.args
    try:
        iids = [int(part) for text in arguments.getlist("run") for part in text.split(",") if part.strip()]
        return iids, int(arguments.get("base", iids[0] if iids else 0))
    except ValueError as error:
        raise invalid("Name the runs to compare by their numbers, as in run=3&run=5&base=3.") from error


def _nothing_chosen(call: Call) -> ResponseReturnValue:
    """Go back to the page that the form was on, and say there what to do."""
    messages.refuse("Choose the runs to compare by the boxes in front of them.")
    origin = call.request.args.get("of", "")
    parts = origin.split("/")
    known = len(parts) == 2 and parts[0] in ("experiments", "models") and parts[1] not in ("", ".", "..")
    there = f"{parts[0]}/{segment(parts[1])}" if known else "experiments"
    return redirect(f"{call.pages}/{there}", 303)


def _ranking(metrics: list[CompareRow]) -> list[str]:
    known = [row.key for row in metrics if row.differs and row.direction and row.direction.better is not Better.UNKNOWN]
    return sorted(known, key=display_order)[:4]


def _shown(rows: list[CompareRow], *, everything: bool) -> list[CompareRow]:
    return [row for row in rows if everything or row.differs][:_MOST_ROWS]


def _rows(
    sides: Sequence[Side], of: Callable[[Side], dict[str, str]], cell: Callable[[str | None], Cell]
) -> list[CompareRow]:
    keys = sorted({key for side in sides for key in of(side)})
    made = []
    for key in keys:
        values = [of(side).get(key) for side in sides]
        made.append(CompareRow(key, [cell(value) for value in values], len(set(values)) > 1))
    return made


def _text(value: str | None) -> Cell:
    return Cell(NONE if value is None else value)


def _metric_rows(sides: Sequence[Side], baseline: Side, directions: Mapping[str, MetricDirection]) -> list[CompareRow]:
    keys = sorted({key for side in sides for key in side.metrics}, key=display_order)
    made = []
    for key in keys:
        direction = directions[key]
        values = [side.metrics.get(key) for side in sides]
        before = baseline.metrics.get(key)
        cells = [
            _metric(value, None if side is baseline else before, key, direction)
            for side, value in zip(sides, values, strict=True)
        ]
        # Not as numbers: NaN differs from itself.
        made.append(CompareRow(key, cells, len({repr(value) for value in values}) > 1, direction))
    return made


def _metric(value: float | None, before: float | None, key: str, direction: MetricDirection) -> Cell:
    if value is None:
        return Cell(NONE)
    if before is None or not abs(value - before) < float("inf"):
        return Cell(numbers.at_a_glance(value))
    delta = value - before
    if delta == 0:
        return Cell(numbers.at_a_glance(value), "=")
    relative = delta / abs(before) if before else None
    text = numbers.change(
        delta,
        relative=relative,
        rate=is_rate(key) and 0 <= min(before, value) <= max(before, value) <= 1,
        show_relative=True,
    )
    gain = direction.gain(delta)
    verdict = "" if direction.better is Better.UNKNOWN else "better" if gain > 0 else "worse"
    return Cell(numbers.at_a_glance(value), text, verdict)
