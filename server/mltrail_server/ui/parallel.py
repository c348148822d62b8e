"""Parallel coordinates: each run is a line across what differs between the runs. Drawn here, so no script is needed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import numbers
from mltrail_server.services.pages.compare import Side

MOST_AXES = 9
_LOGARITHMIC = 100
"""A parameter whose largest value is this many times its smallest, such as a learning rate, has a logarithmic axis."""
_HEIGHT, _TOP, _BOTTOM, _GAP, _EDGE = 260, 30, 24, 150, 75


@dataclass(frozen=True, slots=True)
class Axis:
    label: str
    x: int
    top: str
    bottom: str
    marks: list[tuple[str, float]]  # the words of an axis that has no numbers


@dataclass(frozen=True, slots=True)
class Plot:
    width: int
    height: int
    axes: list[Axis]
    lines: list[tuple[int, str, str]]  # place of the run, its name, its points


def plot(sides: Sequence[Side], params: Sequence[str], metrics: Sequence[str]) -> Plot | None:
    """Lay out parameters and metrics that differ between the runs; None for fewer than two axes or two runs."""
    columns: list[tuple[str, list[str | float | None]]] = [
        (name, [side.params.get(name) for side in sides]) for name in params[: MOST_AXES - min(len(metrics), 4)]
    ]
    columns += [(name, [side.metrics.get(name) for side in sides]) for name in metrics]
    columns = columns[:MOST_AXES]
    if len(columns) < 2 or len(sides) < 2:
        return None
    axes, heights = [], []
    for place, (label, values) in enumerate(columns):
        axis, ups = _axis(label, _EDGE + place * _GAP, values)
        axes.append(axis)
        heights.append(ups)
    lines = []
    for number, side in enumerate(sides):
        dots = [(axis.x, ups[number]) for axis, ups in zip(axes, heights, strict=True)]
        points = " ".join(f"{x},{up:.1f}" for x, up in dots if up is not None)
        lines.append((number, side.candidate.name, points))
    return Plot(2 * _EDGE + (len(axes) - 1) * _GAP, _HEIGHT, axes, lines)


def _axis(label: str, x: int, values: Sequence[str | float | None]) -> tuple[Axis, list[float | None]]:
    as_numbers = [_number(value) for value in values]
    if any(value is not None and number is None for value, number in zip(values, as_numbers, strict=True)):
        return _axis_of_words(label, x, values)
    return _axis_of_numbers(label, x, as_numbers)


def _axis_of_words(label: str, x: int, values: Sequence[str | float | None]) -> tuple[Axis, list[float | None]]:
    words = sorted({str(value) for value in values if value is not None})
    at = {word: _up(place, 0, len(words) - 1) for place, word in enumerate(words)}
    marks = [(word[:18], at[word]) for word in words] if len(words) <= 8 else []
    return Axis(label, x, "", "", marks), [None if value is None else at[str(value)] for value in values]


def _axis_of_numbers(label: str, x: int, values: Sequence[float | None]) -> tuple[Axis, list[float | None]]:
    known = [number for number in values if number is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = math.log if low > 0 and high / low >= _LOGARITHMIC else float
    ups = [None if number is None else _up(scale(number), scale(low), scale(high)) for number in values]
    return Axis(label, x, numbers.at_a_glance(high), numbers.at_a_glance(low), []), ups


def _number(value: str | float | None) -> float | None:
    try:
        number = float(value) if value is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _up(value: float, low: float, high: float) -> float:
    # Halved first: the difference of two numbers may be more than there is.
    share = (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)
