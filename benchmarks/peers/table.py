"""The tables of a comparison, in Markdown."""

from collections.abc import Mapping, Sequence

from . import imports
from .comparison import OURS, PEERS, Comparison, median
from .items import Item
from .mix import TRAINING_ITEM

LIMITS = {"first answer after start, s": 0.4, "memory after the work, MB": 120, "installed, MB": 100}
"""What mltrail may take at most."""
_ABSOLUTE = ("first answer", "memory", "installed", "a million", "database")
"""Facts that have a limit, if any, instead of being compared."""


def written(found: Comparison) -> str:
    """Write medians over the rounds. A ratio below 1 is bold; one below its target has an exclamation mark. The last
    column is what share of the floor mltrail reaches.
    """
    lines = [
        "| item | unit | mltrail | mlflow | FastTrackML | times the best peer | target | bare WSGI | raw SQL | share |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_row(found, item) for item in found.items if item.name != TRAINING_ITEM]
    if imports.NAME in found.rates:
        rate, floor = median(found.rates[imports.NAME][OURS]), median(found.floors[imports.NAME]["raw"])
        share = f"{rate / floor:.0%}" if rate and floor else "-"
        lines.append(
            f"| {imports.NAME} | {imports.UNIT} | {_figure(rate)} | - | - | - | - | - | {_figure(floor)} | {share} |"
        )
    lines += ["", "Median and p99 of a call, ms:", "", "| item | mltrail | mlflow | FastTrackML |", "|---|--:|--:|--:|"]
    for item in found.items:
        cells = [
            " / ".join(_figure(median(of.get(item.name, {}).get(kind))) for of in (found.medians, found.p99s))
            for kind in PEERS
        ]
        lines.append(f"| {item.name} | {' | '.join(cells)} |")
    lines += ["", "| less is better | mltrail | mlflow | FastTrackML | times as good as the best peer | at most |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    lines += [_fact(name, of) for name, of in found.facts.items()]
    return "\n".join(lines) + "\n"


def ratio(found: Mapping[str, Sequence[float]]) -> float | None:
    """Return how many times the best peer's median mltrail's is, if both are known."""
    peers = [value for kind, values in found.items() if kind != OURS and (value := median(values))]
    ours = median(found.get(OURS))
    return ours / max(peers) if ours and peers else None


def of_the_floor(found: Comparison, item: Item) -> float | None:
    """Return mltrail's share of what would be possible: with one client, HTTP and SQL one after the other; with several
    the slower of both, since one call's HTTP goes on during another one's SQL.
    """
    ours = median(found.rates[item.name].get(OURS))
    bare, raw = (median(found.floors[item.name].get(kind)) for kind in ("bare", "raw"))
    if not ours or not bare or not raw:
        return None
    floors = (bare, raw)
    possible = 1 / sum(1 / value for value in floors) if item.clients == 1 else min(floors)
    return ours / possible


def _row(found: Comparison, item: Item) -> str:
    rates = found.rates.get(item.name, {})
    times, share = ratio(rates), of_the_floor(found, item)
    cells = [
        item.name,
        item.unit,
        *(_figure(median(rates.get(kind))) for kind in PEERS),
        _marked(times, item.target),
        f"{item.target:g}",
        *(_figure(median(found.floors[item.name].get(kind))) for kind in ("bare", "raw")),
        "-" if share is None else f"{share:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def _fact(name: str, of: Mapping[str, Sequence[float]]) -> str:
    cells = [_figure(median(of.get(kind))) for kind in PEERS]
    limit, ours = LIMITS.get(name), median(of.get(OURS))
    over = " !" if limit is not None and ours is not None and ours > limit else ""
    peers = [value for kind, values in of.items() if kind != OURS and (value := median(values))]
    times = min(peers) / ours if ours and peers and not name.startswith(_ABSOLUTE) else None
    bounds = "-" if limit is None else f"{limit:g}{over}"
    return f"| {name} | {' | '.join(cells)} | {_marked(times, 1)} | {bounds} |"


def _marked(times: float | None, target: float) -> str:
    if times is None:
        return "-"
    if times < 1:
        return f"**{times:.2f}** !"
    return f"{times:.2f} !" if times < target else f"{times:.2f}"


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
