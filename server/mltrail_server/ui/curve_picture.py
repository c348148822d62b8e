"""Charts as pictures for browsers without scripts, with the same axis, scale and smoothing as charts.js draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import numbers
from mltrail_server.domain.clock import iso
from mltrail_server.domain.quantities import short_duration
from mltrail_server.services.pages.charts import Chart, Curve
from mltrail_server.store.tracking.histories import CurveAxis

from .chart_state import ChartState
from .colours import colour, dashes

_WIDTH, _HEIGHT = 440, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 24
_STYLE = 'font-family="sans-serif" font-size="11" fill="#89888d"'
_MOST_BARS = 20


@dataclass(frozen=True, slots=True)
class _Line:
    curve: Curve
    place: int  # in the palette

    @property
    def stroke(self) -> str:
        dash = " ".join(map(str, dashes(self.place)))
        return f'stroke="{colour(self.place)}"' + (f' stroke-dasharray="{dash}"' if dash else "")


def smoothed(curve: Curve, weight: float) -> list[float | None]:
    """Return an exponential moving average that begins unbiased, as TensorBoard's slider has it. A point of a sampled
    curve weighs as much as the values that it stands for.
    """
    kept = weight**curve.part
    last = debias = 0.0
    found: list[float | None] = []
    for value in curve.values:
        if value is None:
            found.append(None)
            continue
        last = last * kept + (1 - kept) * value
        debias = debias * kept + 1 - kept
        found.append(last / debias)
    return found


def draw(charts: Sequence[Chart], places: Mapping[int, int], state: ChartState) -> str:
    """Draw the curves of one metric, or of several in one picture. `places` are those of the runs in the palette."""
    lines = [
        _Line(curve, number if len(charts) > 1 else places.get(curve.candidate_iid, order))
        for number, chart in enumerate(charts)
        for order, curve in enumerate(chart.curves)
        if any(value is not None for value in curve.values)
    ]
    height, inside = _HEIGHT, ""
    if lines and all(len(line.curve.values) == 1 for line in lines):
        height, inside = _bars(lines)
    elif lines:
        axis = next(chart.axis for chart in charts if chart.curves)
        inside = _Plot(lines, axis, state).drawn()
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
    size = f'width="{_WIDTH}" height="{height}"'
    return f"{begin} {size} {_STYLE}>{inside}</svg>"


class _Plot:
    def __init__(self, lines: Sequence[_Line], axis: CurveAxis, state: ChartState) -> None:
        self.lines, self.axis, self.smoothing = lines, axis, state.smoothing
        places = [place for line in lines for place in line.curve.places]
        if state.zoom and axis is state.axis:
            self.left, self.right = state.zoom
        else:
            self.left, self.right = min(places), max(places)
        every = [
            value
            for line in lines
            for values in (line.curve.values, line.curve.lowest, line.curve.highest)
            for place, value in zip(line.curve.places, values, strict=False)
            if value is not None and self.left <= place <= self.right
        ] or [0.0]
        positive = [value for value in every if value > 0]
        self.log = state.log and bool(positive)
        shown = positive if self.log else every
        self.low, self.high = min(shown), max(shown)

    def drawn(self) -> str:
        # An inner picture cuts off what lies outside.
        cut = f'x="{_LEFT}" y="0" width="{_WIDTH - _LEFT}" height="{_HEIGHT - _BOTTOM + 2}"'
        view = f'viewBox="{_LEFT} 0 {_WIDTH - _LEFT} {_HEIGHT - _BOTTOM + 2}"'
        inner = "".join(self._line(line) for line in self.lines)
        return "".join([*self._frame(), f"<svg {cut} {view}>{inner}</svg>"])

    def _x(self, place: float) -> float:
        return _LEFT + (place - self.left) / ((self.right - self.left) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, value: float) -> float:
        low, high, at = (math.log10(one) for one in (self.low, self.high, value)) if self.log else self._halved(value)
        return _HEIGHT - _BOTTOM - (at - low) / ((high - low) or 1.0) * (_HEIGHT - _TOP - _BOTTOM)

    def _halved(self, value: float) -> tuple[float, float, float]:
        """Halve first: the difference of two numbers may be more than there is."""
        return self.low / 2, self.high / 2, value / 2

    def _line(self, line: _Line) -> str:
        curve = line.curve
        parts = []
        if curve.sampled:
            parts.append(self._band(line))
        elif self.smoothing:
            parts.append(self._path(line, curve.values, ' stroke-opacity=".3"'))
        values = smoothed(curve, self.smoothing) if self.smoothing else curve.values
        return "".join([*parts, self._path(line, values)])

    def _path(self, line: _Line, values: Sequence[float | None], more: str = "") -> str:
        found, dots, joined = [], [], False
        for place, value in zip(line.curve.places, values, strict=True):
            if value is None or (self.log and value <= 0):
                joined = False
                continue
            found.append(f"{'L' if joined else 'M'}{self._x(place):.1f} {self._y(value):.1f}")
            dots.append((place, value))
            joined = True
        if len(dots) == 1:
            x, y = self._x(dots[0][0]), self._y(dots[0][1])
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour(line.place)}"{more}/>'
        return f'<path d="{"".join(found)}" fill="none" {line.stroke} stroke-width="1.5"{more}/>' if found else ""

    def _band(self, line: _Line) -> str:
        curve = line.curve
        edges = [
            (self._x(place), self._y(high), self._y(low))
            for place, low, high in zip(curve.places, curve.lowest, curve.highest, strict=True)
            if low is not None and high is not None and (low > 0 or not self.log)
        ]
        there = [f"{x:.1f},{high:.1f}" for x, high, _ in edges]
        back = [f"{x:.1f},{low:.1f}" for x, _, low in reversed(edges)]
        points = " ".join([*there, *back])
        return f'<polygon points="{points}" fill="{colour(line.place)}" fill-opacity=".2"/>' if edges else ""

    def _frame(self) -> list[str]:
        bottom = _HEIGHT - _BOTTOM
        ends = [numbers.number(self.high), numbers.number(self.low) if self.low != self.high else ""]
        return [
            f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="#89888d" stroke-opacity=".5"/>',
            f'<text x="{_LEFT - 4}" y="{_TOP + 9}" text-anchor="end">{ends[0]}</text>',
            f'<text x="{_LEFT - 4}" y="{bottom}" text-anchor="end">{ends[1]}</text>',
            f'<text x="{_LEFT}" y="{_HEIGHT - 8}">{_place(self.left, self.axis)}</text>',
            f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{_place(self.right, self.axis)}</text>'
            if self.left != self.right
            else "",
        ]


def _place(place: float, axis: CurveAxis) -> str:
    if axis is CurveAxis.TIME:
        return short_duration(max(0.0, place) / 1000)
    if axis is CurveAxis.WALL:
        return iso(round(place))[:16].replace("T", " ")
    return f"{place:,.0f}"


def _bars(lines: Sequence[_Line]) -> tuple[int, str]:
    """Draw one value a run: bars from zero, in the order of the runs."""
    shown = [(line, line.curve.values[0] or 0.0) for line in lines[:_MOST_BARS]]
    low, high = min(0.0, *(value for _, value in shown)), max(0.0, *(value for _, value in shown))
    span = (high / 2 - low / 2) or 1.0
    width = _WIDTH - _LEFT - _RIGHT - 64

    def across(value: float) -> float:
        return _LEFT + (value / 2 - low / 2) / span * width

    parts = []
    for row, (line, value) in enumerate(shown):
        y = _TOP + row * 20
        left, right = sorted((across(0), across(value)))
        size = f'width="{max(1.0, right - left):.1f}" height="13"'
        parts += [
            f'<text x="{_LEFT - 6}" y="{y + 12}" text-anchor="end">{line.curve.candidate_iid}</text>',
            f'<rect x="{left:.1f}" y="{y + 2}" {size} rx="2" fill="{colour(line.place)}"/>',
            f'<text x="{right + 5:.1f}" y="{y + 12}">{numbers.number(value)}</text>',
        ]
    return _TOP * 2 + 20 * len(shown), "".join(parts)
