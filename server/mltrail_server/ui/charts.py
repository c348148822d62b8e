"""Curves of metrics: as JSON for interactive charts, as a picture for browsers without scripts, and as CSV."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from flask import Response, jsonify
from flask.typing import ResponseReturnValue

from mltrail_server.domain.clock import iso
from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import charts
from mltrail_server.services.pages.charts import Chart, Curve
from mltrail_server.store.tracking.histories import CurveAxis

from . import curve_picture
from .chart_state import ChartState
from .colours import colour, dashes

_DIGITS = 5
_ALL_DIGITS = 17
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ChartLine:
    """A run in the charts of a page. `place` is its colour's in the palette (ui/colours.py); a hidden run can be shown
    by the page's scripts.
    """

    iid: int
    name: str
    place: int
    hidden: bool = False

    @property
    def colour(self) -> str:
        return colour(self.place)

    @property
    def dash(self) -> str:
        """Return the pattern as SVG's `stroke-dasharray`; "" for an unbroken line."""
        return " ".join(map(str, dashes(self.place)))

    def at(self, step: int) -> Self:
        """Return the line in the colour that comes some places later, for another metric of the same run."""
        return replace(self, place=self.place + step)

    @property
    def data(self) -> list[object]:
        """Return what charts.js needs."""
        return [self.iid, self.name, self.colour, list(dashes(self.place)), int(self.hidden)]


def as_json(call: Call) -> ResponseReturnValue:
    """Answer `charts`, one a metric, each with its `curves`: places `x`, values `y` (null is a gap), and for a sampled
    curve, whose values are means, the lowest and the highest values as `low` and `high`.
    """
    found = [
        {"key": chart.key, "axis": chart.axis.value, "curves": [_curve(curve) for curve in chart.curves]}
        for chart in _charts(call)
    ]
    return jsonify(charts=found)


def as_picture(call: Call) -> ResponseReturnValue:
    """Draw the curves as SVG, which contains numbers only: nothing that a user can name."""
    arguments = call.request.args
    state = ChartState.read(arguments)
    # What is smoothed depends on what comes before.
    part = state.zoom if state.zoom and not state.smoothing else None
    start, end = (math.floor(part[0]), math.ceil(part[1])) if part else (None, None)
    drawn = _charts(call, state.axis, _whole(start), _whole(end))
    places = numbers_of(arguments.getlist("place"))
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "sandbox; default-src 'none'"}
    shown = curve_picture.draw(drawn, dict(zip(_runs(call), places, strict=False)), state)
    return Response(shown, content_type="image/svg+xml", headers=headers)


def as_csv(call: Call) -> ResponseReturnValue:
    """Answer every value of some metrics of some runs, as they were logged."""
    rows = charts.values(call.scope, _runs(call), call.request.args.getlist("key"))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["run", "metric", "step", "time", "value"])
    for iid, key, step, at, value in rows:
        writer.writerow([iid, _inert(key), step, _time(at), repr(value)])
    headers = {"Content-Disposition": 'attachment; filename="values.csv"', "Cache-Control": "private, no-store"}
    return Response(text.getvalue(), content_type="text/csv; charset=utf-8", headers=headers)


def _charts(call: Call, axis: CurveAxis | None = None, start: int | None = None, end: int | None = None) -> list[Chart]:
    arguments = call.request.args
    try:
        axis = axis or CurveAxis(arguments.get("axis", CurveAxis.STEP))
        start = _whole(int(arguments["from"])) if "from" in arguments else start
        end = _whole(int(arguments["to"])) if "to" in arguments else end
    except ValueError as error:
        raise invalid("The axis must be step, time or wall, and its range is written as in from=100&to=900.") from error
    return charts.curves(call.scope, _runs(call), arguments.getlist("key"), axis, start=start, end=end)


def _runs(call: Call) -> list[int]:
    return numbers_of(call.request.args.getlist("run"))


def numbers_of(texts: Iterable[str]) -> list[int]:
    try:
        found = [int(part) for text in texts for part in text.split(",")]
    except ValueError as error:
        raise invalid("Name the runs by their numbers, as in run=3,5.") from error
    return list(dict.fromkeys(one for one in found if 0 <= one <= _LARGEST))


def _whole(place: int | None) -> int | None:
    return None if place is None else min(_LARGEST, max(-_LARGEST, place))


def _curve(curve: Curve) -> dict[str, object]:
    digits = _digits([*curve.values, *curve.lowest, *curve.highest])
    shown: dict[str, object] = {
        "run": curve.candidate_iid,
        "x": curve.places,
        "y": _rounded(curve.values, digits),
        "logged": curve.logged,
    }
    if curve.sampled:
        shown |= {
            "low": _rounded(curve.lowest, digits),
            "high": _rounded(curve.highest, digits),
            "part": round(curve.part, 2),
            "end": curve.end,
        }
    return shown | {name: count for name, count in (("nans", curve.nans), ("infinite", curve.infinite)) if count}


def _digits(values: Sequence[float | None]) -> int:
    """Return how many significant digits tell the values of a curve apart: five, and more if they differ by little."""
    finite = [value for value in values if value is not None]
    if not finite:
        return _DIGITS
    low, high = min(finite), max(finite)
    span, largest = high / 2 - low / 2, max(abs(low), abs(high)) / 2
    if span == 0:
        return _ALL_DIGITS
    return min(_ALL_DIGITS, _DIGITS + math.floor(max(0.0, math.log10(largest) - math.log10(span))))


def _rounded(values: Iterable[float | None], digits: int) -> list[float | None]:
    return [None if value is None else float(f"{value:.{digits}g}") for value in values]


def _time(milliseconds: int) -> str:
    try:
        return iso(milliseconds)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def _inert(text: str) -> str:
    """A spreadsheet takes a cell that begins like this for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
