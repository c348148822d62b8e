"""Parallel coordinates: each run is a line across its values. Drawn here, so no script is needed to see them."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import importance, numbers

TOP, HEIGHT = 44, 300
_BOTTOM, _EDGE = 48, 80
_WIDE, _GAP = 1000, 130
"""The width between the first axis and the last, and what there is at least between two."""
_RAIL = 22
"""How far below an axis the lines of runs go that have no value on it."""
_MOST_WORDS = 12
OTHERS = "other values"

Value = str | float | None


@dataclass(frozen=True, slots=True)
class Axis:
    """`low` and `high` are the ends of an axis of numbers. `marks` are the words of one that has words, with their
    heights. `misses` says that some runs have no value here.
    """

    key: str
    label: str
    x: int
    low: float | None = None
    high: float | None = None
    log: bool = False
    marks: tuple[tuple[str, float], ...] = ()
    misses: bool = False

    @property
    def top(self) -> str:
        return "" if self.high is None else numbers.at_a_glance(self.high)

    @property
    def bottom(self) -> str:
        return "" if self.low is None else numbers.at_a_glance(self.low)

    @property
    def is_words(self) -> bool:
        return self.low is None

    def up(self, value: float) -> float:
        """Return the height of a number on an axis of numbers; of one beyond its ends, that of the end."""
        low, high = self.low or 0.0, self.high or 0.0
        inside = min(max(value, low), high)
        scale = math.log if self.log else float
        return _up(_share(scale(inside), scale(low), scale(high)))


@dataclass(frozen=True, slots=True)
class Plot:
    """`lines` are the points of each run, in their order."""

    width: int
    axes: list[Axis]
    lines: list[str]
    height: int = HEIGHT + _BOTTOM
    top: int = TOP
    bottom: int = HEIGHT
    rail: int = HEIGHT + _RAIL


def plot(columns: Sequence[tuple[str, str, Sequence[Value]]]) -> Plot | None:
    """Lay out columns of key, label and values; None for fewer than two columns or runs."""
    if len(columns) < 2 or len(columns[0][2]) < 2:
        return None
    gap = max(_GAP, _WIDE // (len(columns) - 1))
    axes, heights = [], []
    for place, (key, label, values) in enumerate(columns):
        axis, ups = _axis(key, label, _EDGE + place * gap, values)
        axes.append(axis)
        heights.append([f"{axis.x},{HEIGHT + _RAIL if up is None else up:.4g}" for up in ups])
    return Plot(2 * _EDGE + (len(axes) - 1) * gap, axes, [" ".join(points) for points in zip(*heights, strict=True)])


def scaled(values: Sequence[Value]) -> tuple[list[float | None], float, float, bool] | None:
    """Read a column of numbers as shares of its range, with the range and whether that is logarithmic; None for words.
    What is no number among them has no share.
    """
    texts = [value for value in values if isinstance(value, str)]
    known_texts = importance.numbers_of(texts) if texts else {}
    if known_texts is None:
        return None
    found = [known_texts.get(value) if isinstance(value, str) else value for value in values]
    known = [number for number in found if number is not None and math.isfinite(number)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    log = importance.is_logarithmic(low, high)
    scale = math.log if log else float
    shares = [
        _share(scale(number), scale(low), scale(high)) if number is not None and math.isfinite(number) else None
        for number in found
    ]
    return shares, low, high, log


def _axis(key: str, label: str, x: int, values: Sequence[Value]) -> tuple[Axis, list[float | None]]:
    read = scaled(values)
    if read is None:
        return _axis_of_words(key, label, x, values)
    shares, low, high, log = read
    ups = [None if share is None else _up(share) for share in shares]
    return Axis(key, label, x, low, high, log, misses=None in ups), ups


def _axis_of_words(key: str, label: str, x: int, values: Sequence[Value]) -> tuple[Axis, list[float | None]]:
    counts = Counter(str(value) for value in values if value is not None)
    shown = sorted(word for word, _ in counts.most_common(_MOST_WORDS))
    if len(counts) > len(shown):
        shown = [*sorted(word for word, _ in counts.most_common(_MOST_WORDS - 1)), OTHERS]
    last = len(shown) - 1
    at = {word: _up((last - place) / last if last else 0.5) for place, word in enumerate(shown)}
    ups = [None if value is None else at.get(str(value), at[shown[-1]]) for value in values]
    return Axis(key, label, x, marks=tuple(at.items()), misses=None in ups), ups


def _share(value: float, low: float, high: float) -> float:
    # Halved first: the difference of two numbers may be more than there is.
    return (value / 2 - low / 2) / (high / 2 - low / 2) if high > low else 0.5


def _up(share: float) -> float:
    return HEIGHT - share * (HEIGHT - TOP)
