"""Curves of metrics: as JSON for interactive charts, as a picture for browsers without scripts."""

from dataclasses import dataclass

from flask import Response, jsonify
from flask.typing import ResponseReturnValue

from mltrail_server.domain import numbers
from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.pages import charts
from mltrail_server.services.pages.charts import Curve
from mltrail_server.store.tracking.histories import CurveAxis

from .colours import colour, dashes

_WIDTH, _HEIGHT = 440, 220
_STYLE = 'font-family="sans-serif" font-size="11" fill="#89888d"'
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 24


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

    @property
    def data(self) -> list[object]:
        """Return what charts.js needs."""
        return [self.iid, self.name, self.colour, list(dashes(self.place)), int(self.hidden)]


def as_json(call: Call) -> ResponseReturnValue:
    found = [
        {
            "run": curve.candidate_iid,
            "x": curve.places,
            "y": curve.values,
            "logged": curve.logged,
            "nans": curve.nans,
            "sampled": curve.sampled,
        }
        for curve in _curves(call)
    ]
    return jsonify(curves=found)


def as_picture(call: Call) -> ResponseReturnValue:
    """Draw the curves as SVG, which contains numbers only: nothing that a user can name."""
    headers = {"Cache-Control": "private, no-cache", "Content-Security-Policy": "sandbox; default-src 'none'"}
    return Response(_drawn(_curves(call)), content_type="image/svg+xml", headers=headers)


def _curves(call: Call) -> list[Curve]:
    arguments = call.request.args
    try:
        iids = [int(part) for text in arguments.getlist("run") for part in text.split(",")]
        axis = CurveAxis(arguments.get("axis", CurveAxis.STEP))
    except ValueError as error:
        raise invalid("Name the runs by their numbers, as in run=3, and the axis as step or time.") from error
    found = charts.curves(call.scope, iids, arguments.get("key", ""), axis)
    by_iid = {curve.candidate_iid: curve for curve in found}
    return [by_iid[iid] for iid in dict.fromkeys(iids) if iid in by_iid]


def _drawn(curves: list[Curve]) -> str:
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_STYLE}>']
    places = [place for curve in curves for place in curve.places]
    values = [value for curve in curves for value in curve.values]
    if places:
        left, right, low, high = min(places), max(places), min(values), max(values)
        across = (_WIDTH - _LEFT - _RIGHT) / ((right - left) or 1)
        # Halved first: the difference of two numbers may be more than there is.
        span = high / 2 - low / 2
        up = (_HEIGHT - _TOP - _BOTTOM) if span else 0.0
        parts += _frame(left, right, low, high)
        for number, curve in enumerate(curves):
            shade = colour(number)
            dots = [
                (_LEFT + (place - left) * across, _HEIGHT - _BOTTOM - (value / 2 - low / 2) / (span or 1.0) * up)
                for place, value in zip(curve.places, curve.values, strict=True)
            ]
            if len(dots) == 1:
                parts.append(f'<circle cx="{dots[0][0]:.1f}" cy="{dots[0][1]:.1f}" r="3" fill="{shade}"/>')
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
            parts.append(f'<polyline points="{line}" fill="none" stroke="{shade}" stroke-width="1.5"/>')
    return "".join([*parts, "</svg>"])


def _frame(left: int, right: int, low: float, high: float) -> list[str]:
    bottom = _HEIGHT - _BOTTOM
    return [
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="#89888d" stroke-opacity=".5"/>',
        f'<text x="{_LEFT - 4}" y="{_TOP + 9}" text-anchor="end">{numbers.number(high)}</text>',
        f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">{numbers.number(low)}</text>' if low != high else "",
        f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{left}</text>',
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{right}</text>' if left != right else "",
    ]
