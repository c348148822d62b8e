"""A chart of the metric that the heading names, on the target branch and here."""

import math
from dataclasses import dataclass

from mltrail_server.domain import former
from mltrail_server.domain.comparison import MetricChange
from mltrail_server.domain.markdown import Markdown, name
from mltrail_server.services.review.judged import ModelReport

_FEWEST_POINTS = 2
_BLUE, _ORANGE = "#428fdc", "#e9730c"


@dataclass(frozen=True, slots=True)
class Course:
    """A metric in the target branch's pipelines, the oldest first, and here, by pipeline; and what it is held to."""

    metric: str
    points: tuple[tuple[str, float], ...]
    held_to: float


def of(model: ModelReport) -> Course | None:
    """Return the course of the metric that the heading names; None if there is no line to draw."""
    change = _named(model)
    if change is None or model.version is not None:
        return None  # a version is not a point of the branch
    points = _points(model, change)
    if change.before is None or len(points) < _FEWEST_POINTS:
        return None
    return Course(change.name, tuple(points), change.before)


def drawn(model: ModelReport) -> tuple[Markdown, Markdown] | None:
    """Draw the metric that the heading names, on the target branch and here, as a Mermaid chart with its legend; None
    if there is no line to draw.

    GitLab draws a chart on its own up to 2,000 characters. All its Mermaid versions know the name `xychart-beta`. Only
    the palette is set: a theme would break dark mode, and the default's first colour can't be seen on white.
    """
    course = of(model)
    if course is None:
        return None
    values = [value for _, value in course.points]
    room = (max(values) - min(values)) / 10 or abs(values[0]) / 10 or 1.0
    names = ", ".join(f'"{label}"' for label, _ in course.points)
    lines = [
        "---",
        "config:",
        "  xyChart:",
        "    height: 220",
        "  themeVariables:",
        "    xyChart:",
        f'      plotColorPalette: "{_BLUE}, {_ORANGE}"',
        "---",
        "xychart-beta",
        f"  x-axis [{names}]",
        f"  y-axis {_plain(min(values) - room)} --> {_plain(max(values) + room)}",
        f"  line [{', '.join(map(_plain, values))}]",
        f"  line [{', '.join([_plain(course.held_to)] * len(values))}]",
    ]
    return Markdown("\n".join(lines)), Markdown(f"Blue: {name(course.metric)}. Orange: what this is compared with.")


def _points(model: ModelReport, change: MetricChange) -> list[tuple[str, float]]:
    """List the metric in the target branch's pipelines, the oldest first, and here."""
    if change.current is None or change.baseline is None or model.baseline is None:
        return []
    points = [
        (str(former.original(pipeline.id)), group.metrics[change.name].mean)
        for pipeline, group in zip(model.history, model.comparison.history, strict=False)
        if group is not None and change.name in group.metrics
    ][::-1]
    points += [(str(former.original(model.baseline.id)), change.baseline.mean), ("this", change.current.mean)]
    return [(label, value) for label, value in points if math.isfinite(value)]


def _named(model: ModelReport) -> MetricChange | None:
    concluded = model.conclusion
    named = [one.metric for one in (concluded.worst, concluded.best) if one is not None]
    both = {one.name: one for one in model.comparison.metrics if one.baseline is not None and one.current is not None}
    return next((both[one] for one in [*named, model.comparison.rank_by] if one in both), None)


def _plain(value: float) -> str:
    """Write a number without an exponent, which Mermaid can't read."""
    text = f"{float(f'{value:.6g}'):.12f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
