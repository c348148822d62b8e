"""A model's metrics in a note: what became of each, the evidence for it, and a chart of the one that ranks."""

import math

from mltrail_server.domain.comparison import MetricChange
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.numbers import decimals_for, number, signed
from mltrail_server.domain.verdict import Verdict
from mltrail_server.services.review.judge import ModelReport

from .cells import arrow, values

_ICONS = {
    Verdict.BETTER: "✅",
    Verdict.WORSE: "❌",
    Verdict.WITHIN_LIMIT: "➖",
    Verdict.NO_CLEAR_CHANGE: "➖",
    Verdict.CANT_TELL: "❔",
}
_SMALLEST_CHANCE = 0.001
_BLUE, _ORANGE = "#428fdc", "#e9730c"


def row(change: MetricChange, *, gated: bool) -> dict[str, Markdown]:
    """`gated`: there are rules for other metrics, so this one's icon must not look like a verdict."""
    icon = {Verdict.BETTER: "🔼", Verdict.WORSE: "🔽"}.get(change.verdict) if gated else None
    return {
        "icon": Markdown(icon or _ICONS[change.verdict]),
        "metric": Markdown(f"{code(change.name)}{arrow(change.direction)}"),
        "means": values(change),
        "sentence": Markdown(f"{change.verdict}: {change.sentence}"),
    }


def evidence(change: MetricChange) -> dict[str, Markdown] | None:
    """Show what the verdict on a metric rests on: bounds of the true difference, chance, spread from run to run."""
    weighed = change.evidence
    if weighed is None:
        return None
    places = decimals_for((weighed.high - weighed.low) or abs(weighed.low) or weighed.sd)
    return {
        "metric": code(change.name),
        "bounds": Markdown(f"{signed(weighed.low, decimals=places)} … {signed(weighed.high, decimals=places)}"),
        "chance": Markdown("< 0.1 %" if weighed.p < _SMALLEST_CHANCE else f"{weighed.p:.1%}".replace("%", " %")),
        "spread": Markdown(number(weighed.sd, decimals=decimals_for(weighed.sd)) if weighed.sd else "none"),
    }


def chart(model: ModelReport) -> Markdown | None:
    """Draw the ranking metric on the target branch and here, as a Mermaid chart; None if there is no line to draw.

    GitLab draws a chart on its own up to 2,000 characters. All its Mermaid versions know the name `xychart-beta`. Only
    the palette is set: a theme would break dark mode, and the default's first colour can't be seen on white.
    """
    compared = model.comparison
    headline = compared.headline
    if headline is None or headline.current is None or headline.baseline is None or model.baseline is None:
        return None
    if model.version is not None:
        return None  # a version is not a point of the branch
    points = [
        (str(pipeline.id), value)
        for pipeline, value in zip(model.history, compared.trend, strict=True)
        if value is not None and math.isfinite(value)
    ][::-1]
    points += [(str(model.baseline.id), headline.baseline.mean), ("this", headline.current.mean)]
    values = [value for _, value in points]
    room = (max(values) - min(values)) / 10 or abs(values[0]) / 10 or 1.0
    names = ", ".join(f'"{name}"' for name, _ in points)
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
        f"  line [{', '.join([_plain(headline.baseline.mean)] * len(values))}]",
    ]
    return Markdown("\n".join(lines))


def _plain(value: float) -> str:
    """Write a number without an exponent, which Mermaid can't read."""
    text = f"{float(f'{value:.6g}'):.12f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
