"""The table of a comparison, in Markdown."""

import statistics
from collections.abc import Sequence
from typing import Any

from .items import Item

_KINDS = ("mltrail", "mlflow", "fasttrackml")


def written(items: Sequence[Item], figures: dict[str, dict[str, list[float]]], facts: dict[str, Any]) -> str:
    """Write medians over the rounds; the last columns say how many times the best peer's, and the target."""
    lines = [
        "| item | unit | mltrail | mlflow | FastTrackML | times the best peer | target |",
        "|---|---|---|---|---|---|---|",
    ]
    for item in items:
        found = {kind: statistics.median(values) for kind, values in figures.get(item.name, {}).items()}
        peers = [value for kind, value in found.items() if kind != "mltrail"]
        ratio = f"{found['mltrail'] / max(peers):.1f}" if peers and "mltrail" in found else "-"
        cells = [_figure(found.get(kind)) for kind in _KINDS]
        lines.append(f"| {item.name} | {item.unit} | {' | '.join(cells)} | {ratio} | {item.target:g} |")
    if facts:
        lines += ["", "| less is better | mltrail | mlflow | FastTrackML |", "|---|---|---|---|"]
        for name, of in facts.items():
            lines.append(f"| {name} | {' | '.join(_figure(_median(of.get(kind))) for kind in _KINDS)} |")
    return "\n".join(lines) + "\n"


def _median(values: list[float] | None) -> float | None:
    return None if not values else statistics.median(values)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
