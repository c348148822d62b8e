"""The change of one metric as a row of a plot: where it could lie, beside no change and beside what a rule allows.

All places are in per cent of the row's width, so that it fits any screen. Left is worse and right is better, whichever
way the metric counts; without a known direction, left is lower. A row never shows more than its verdict says: where
nothing shows how large chance is, there is no bar; and a bar has a verdict's colour only if a test of it has decided.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mltrail_contract import HigherOrLower
from mltrail_server.domain import datasets
from mltrail_server.domain.cases import words
from mltrail_server.domain.direction import Better
from mltrail_server.domain.rules import allowed
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review import note, rows
from mltrail_server.services.review.rows import Row

_KINDS = {Verdict.WORSE: "worse", Verdict.BETTER: "better", Verdict.CANT_TELL: "unknown"}
_QUIET = "quiet"
_Place = Callable[[float], float]
_LEFT, _RIGHT = 5.0, 95.0
_TEXT = 30.0
"""So much of the width a text needs to the left of its line."""
_FAR = 3.0
"""A limit that lies so many times farther out than all else is named at the edge, or all else would be a dot."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A line that is not to be crossed. `beyond`: it lies outside of the plot, on that side. Its text is on the outer
    side of the line, which is the right one if it `starts` there.
    """

    x: float
    text: str
    starts: bool
    beyond: bool


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the difference could lie, also in words. The bar reaches to the edge where an end is not known. `alone`: it
    is about this table of cases alone, without the correction that the verdict has.
    """

    left: float
    right: float
    open_left: bool
    open_right: bool
    kind: str
    text: str
    alone: bool

    @property
    def width(self) -> float:
        return round(self.right - self.left, 2)


@dataclass(frozen=True, slots=True)
class Plotted:
    """`band` is the loss that a rule allows: its left end, and its width. `directed`: left is worse."""

    zero: float
    point: float
    kind: str
    interval: Interval | None
    limit: Limit | None
    band: tuple[float, float] | None
    directed: bool


@dataclass(frozen=True, slots=True)
class _Measured:
    """A difference and its ends in the metric's unit. An end is infinite where it is not known."""

    difference: float
    low: float
    high: float
    text: str
    alone: bool = False

    @property
    def is_bounded(self) -> bool:
        return math.isfinite(self.low) or math.isfinite(self.high)


def plotted(row: Row) -> Plotted | None:
    """Lay out a row; None where there is nothing to draw, since the two sides can't be compared."""
    found = _measured(row)
    if found is None or not math.isfinite(found.difference):
        return None
    sign = -1.0 if _is_lower_better(row) else 1.0
    low, high = sorted((sign * found.low, sign * found.high)) if found.is_bounded else (math.nan, math.nan)
    point, edge = sign * found.difference, _edge(row, sign)
    drawn = [one for one in (0.0, point, low, high) if math.isfinite(one)]
    reach = max(map(abs, drawn))
    far = edge is not None and reach > 0 and abs(edge[0]) > _FAR * reach
    if edge is not None and not far:
        drawn.append(edge[0])
    start, end = min(drawn), max(drawn)
    # No change is never at the very edge: there is a side on either hand.
    room = (end - start) / 4 or 1.0
    start, end = min(start, -room), max(end, room)

    def place(value: float) -> float:
        return round(_LEFT + (value - start) / (end - start) * (_RIGHT - _LEFT), 2)

    zero = place(0.0)
    kind = _kind(row)
    return Plotted(
        zero,
        place(point),
        kind,
        None if not found.is_bounded else _interval(found, (low, high), place, kind if row.is_tested else _QUIET),
        _limit(edge, place, far=far),
        _band(row, edge, place, zero, far=far),
        directed=_is_directed(row),
    )


def _kind(row: Row) -> str:
    # A rule that counts cases is not about the measure, which may have risen although too many broke.
    return _QUIET if row.is_about_cases and not row.is_tested else _KINDS.get(row.verdict, _QUIET)


def _measured(row: Row) -> _Measured | None:
    if row.is_new or row.means.startswith(datasets.NOT_COMPARABLE):
        return None
    if row.is_about_cases:
        return _of_cases(row)
    if row.change is None or row.now is None or row.before is None:
        return None
    weighed = row.decision.evidence if row.decision is not None else row.change.evidence
    if weighed is None or not weighed.bounded:
        return _Measured(row.now.mean - row.before, -math.inf, math.inf, "")
    text = note.interval(row.metric, weighed.low, weighed.high, sd=weighed.sd)
    return _Measured(weighed.difference, weighed.low, weighed.high, text)


def _of_cases(row: Row) -> _Measured | None:
    """Measure a table of cases. A rule that counts cases has nothing to draw: the share that passes may have risen
    although too many broke.
    """
    compared = row.cases.compared if row.cases is not None else None
    if compared is None or (row.scorer is not None and row.scorer.differs is not None):
        return None
    judged = compared.judged
    return _Measured(judged.difference, judged.low, judged.high, words.interval(compared.metric, judged), alone=True)


def _interval(found: _Measured, ends: tuple[float, float], place: _Place, kind: str) -> Interval:
    low, high = ends
    return Interval(
        place(low) if math.isfinite(low) else 0.0,
        place(high) if math.isfinite(high) else 100.0,
        not math.isfinite(low),
        not math.isfinite(high),
        kind,
        found.text,
        found.alone,
    )


def _is_lower_better(row: Row) -> bool:
    if row.rule is not None and row.rule.better is not None:
        return row.rule.better is HigherOrLower.LOWER
    return row.change is not None and row.change.direction.better is Better.LOWER


def _is_directed(row: Row) -> bool:
    stated = row.rule is not None and row.rule.better is not None
    return stated or (row.change is not None and row.change.direction.better is not Better.UNKNOWN)


def _edge(row: Row, sign: float) -> tuple[float, str] | None:
    """Return what must not be crossed, as a difference of which a positive one is better, and what is written there."""
    if row.rule is None or row.before is None:
        return None
    if row.rule.worse_by is not None and row.rule.worse_by.amount and row.rule.cases is None:
        return -allowed(row.rule.worse_by, row.before), f"allowed: {rows.limit(row)}"
    if row.cases is not None:
        return (-row.cases.allowed, "allowed") if row.cases.allowed else None
    bars = [(row.rule.at_least, "at least"), (row.rule.at_most, "at most")]
    bar = next(((value, said) for value, said in bars if value is not None), None)
    if bar is None:
        return None
    value, said = bar
    return sign * (value - row.before), f"{said} {value:g}"


def _limit(edge: tuple[float, str] | None, place: _Place, *, far: bool) -> Limit | None:
    if edge is None:
        return None
    value, text = edge
    starts = value > 0
    if far:
        return Limit(100.0 if starts else 0.0, text, not starts, beyond=True)
    at = place(value)
    return Limit(at, text, starts or at < _TEXT, beyond=False)


def _band(
    row: Row, edge: tuple[float, str] | None, place: _Place, zero: float, *, far: bool
) -> tuple[float, float] | None:
    """Shade the loss that is allowed; a plain bar allows none of its own."""
    compares = row.rule is not None and row.rule.worse_by is not None
    if edge is None or not compares or edge[0] >= 0:
        return None
    left = 0.0 if far else place(edge[0])
    return left, round(zero - left, 2)
