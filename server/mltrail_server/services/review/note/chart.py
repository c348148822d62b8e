"""The ranking metric on the target branch, then here, as a Mermaid chart.

GitLab draws a chart by itself up to 2,000 characters. `xychart-beta` is the name that all its Mermaid versions know.
Only the palette is set: a theme would break dark mode, and the default's first colour can't be seen on white.
"""

import math

from mltrail_server.domain.markdown import Markdown
from mltrail_server.services.review.judge import ModelReport

_BLUE, _ORANGE = "#428fdc", "#e9730c"


def chart(model: ModelReport) -> Markdown | None:
    """Draw the history; None where it would have no line."""
    compared = model.comparison
    headline = compared.headline
    if headline is None or headline.current is None or headline.baseline is None or model.baseline is None:
        return None
    if model.version is not None:
        return None  # a version is no point of the branch
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
    """Write a number without an exponent, which Mermaid does not read."""
    text = f"{float(f'{value:.6g}'):.12f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
