"""A small line of one metric over pipelines. Places across are in per cent of the width, so that it fits any screen."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mltrail_server.domain.markdown import name
from mltrail_server.domain.numbers import number
from mltrail_server.services.review.note import Course

from .marked import marked

HEIGHT = 120
_TOP, _BOTTOM = 14, 96
_LEFT, _RIGHT = 6.0, 94.0
_MOST_LABELS = 8


@dataclass(frozen=True, slots=True)
class Dot:
    """`label` is written below it, "" where there is no room. `is_last`: it is this pipeline's."""

    x: float
    y: float
    name: str
    label: str
    value: str
    is_last: bool


@dataclass(frozen=True, slots=True)
class Drawn:
    metric: Markup
    dots: list[Dot]
    lines: list[tuple[Dot, Dot]]
    held: float | None
    held_to: str
    height: int = HEIGHT

    @property
    def ends(self) -> list[Dot]:
        """Where the values are written: the first dot and the last."""
        return [self.dots[0], self.dots[-1]] if len(self.dots) > 1 else self.dots


def drawn(course: Course) -> Drawn:
    """Draw a metric over pipelines, and what the last is held to."""
    return line(course.metric, course.points, course.held_to)


def line(metric: str, points: Sequence[tuple[str, float]], held_to: float | None = None) -> Drawn:
    values = [value for _, value in points]
    if held_to is not None and math.isfinite(held_to):
        values.append(held_to)
    low, high = min(values), max(values)
    room = high / 2 - low / 2  # halved first: the difference of two numbers may be more than there is

    def up(value: float) -> float:
        share = (value / 2 - low / 2) / room if room else 0.5
        return round(_BOTTOM - share * (_BOTTOM - _TOP), 1)

    step = (_RIGHT - _LEFT) / max(1, len(points) - 1)
    every = math.ceil(len(points) / _MOST_LABELS)
    last = len(points) - 1
    dots = [
        Dot(
            round(_LEFT + place * step, 2),
            up(value),
            label,
            label if (last - place) % every == 0 else "",
            number(value),
            place == last,
        )
        for place, (label, value) in enumerate(points)
    ]
    held = None if held_to is None or not math.isfinite(held_to) else up(held_to)
    return Drawn(
        marked(name(metric)), dots, list(itertools.pairwise(dots)), held, "" if held is None else number(held_to or 0.0)
    )
