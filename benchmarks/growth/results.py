"""What was measured, as table and picture, and which calls cost more than the logarithm of the size allows."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from .sizes import Axis

NOISE = 0.1
_PANEL_WIDTH, _PANEL_HEIGHT, _LEFT, _LABELS, _TOP = 480, 320, 50, 190, 40


@dataclass
class Cost:
    """Of a call, by round: ms until the answer, ms of the server's processor time, and of the database's."""

    elapsed: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    @property
    def processor(self) -> float:
        """The least of the rounds: whatever else the machine does adds to it."""
        both = zip(self.server, self.database or [0.0] * len(self.server), strict=True)
        return min(sum(pair) for pair in both)


Costs = dict[str, dict[int, Cost]]
"""By call and size."""


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Fit the exponent p of value = c * size^p."""
    xs, ys = [math.log(size) for size in sizes], [math.log(max(value, 1e-9)) for value in values]
    middle_x, middle_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread


def exponent(of: dict[int, Cost]) -> float:
    return slope(list(of), [cost.processor for cost in of.values()])


def allowed(axis: Axis) -> float:
    """Return the exponent that the logarithm itself would be taken for between these sizes, and some for noise."""
    return slope(axis.sizes, [math.log2(size + 1) for size in axis.sizes]) + NOISE


def written(axis: Axis, costs: Costs) -> str:
    what = (
        "Processor time of server and database, ms (elapsed time in brackets), and the exponent p of a fitted "
        f"c * size^p; up to {allowed(axis):.2f} it grows no faster than the logarithm."
    )
    lines = [
        f"### {axis.title.capitalize()}",
        "",
        what,
        "",
        f"| call | {' | '.join(f'{size:,}' for size in axis.sizes)} | p |",
        "|---|" + "--:|" * (len(axis.sizes) + 1),
    ]
    for name, of in costs.items():
        cells = [f"{_figure(cost.processor)} ({_figure(statistics.median(cost.elapsed))})" for cost in of.values()]
        grows = f"**{exponent(of):.2f}** !" if exponent(of) > allowed(axis) else f"{exponent(of):.2f}"
        lines.append(f"| {name} | {' | '.join(cells)} | {grows} |")
    return "\n".join(lines) + "\n"


def summary(measured: Sequence[tuple[Axis, Costs]]) -> str:
    """Write what calls cost on the smallest database and at the largest of each size, in ms of processor time."""
    axes = [axis for axis, _ in measured]
    lines = [
        f"| call | smallest | {' | '.join(f'{axis.sizes[-1]:,} {axis.title}' for axis in axes)} |",
        "|---|" + "--:|" * (len(axes) + 1),
    ]
    for name in measured[0][1]:
        found = [costs[name] for _, costs in measured]
        smallest = statistics.median(of[axis.sizes[0]].processor for axis, of in zip(axes, found, strict=True))
        cells = [
            f"**{_figure(of[axis.sizes[-1]].processor)}**"
            if exponent(of) > allowed(axis)
            else _figure(of[axis.sizes[-1]].processor)
            for axis, of in zip(axes, found, strict=True)
        ]
        lines.append(f"| {name} | {_figure(smallest)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def growing(axis: Axis, costs: Costs) -> list[str]:
    """Say which calls grow faster than the logarithm, the fastest first."""
    found = {name: exponent(of) for name, of in costs.items() if exponent(of) > allowed(axis)}
    return [
        f"{name}: size^{power:.2f} in the {axis.title}"
        for name, power in sorted(found.items(), key=lambda pair: -pair[1])
    ]


def drawn(measured: Sequence[tuple[Axis, Costs]]) -> str:
    """Draw a panel for each size: processor time against it, both on scales of powers of ten."""
    columns = 2
    rows = math.ceil(len(measured) / columns)
    width, height = columns * (_PANEL_WIDTH + _LABELS), rows * (_PANEL_HEIGHT + 20)
    style = 'font-family="sans-serif" font-size="12" fill="#7a7a86" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {style}>',
        "<title>Processor time of a call against the size of what is stored</title>",
    ]
    for place, (axis, costs) in enumerate(measured):
        x, y = place % columns * (_PANEL_WIDTH + _LABELS), place // columns * (_PANEL_HEIGHT + 20)
        parts += [f'<g transform="translate({x} {y})">', *_panel(axis, costs), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(axis: Axis, costs: Costs) -> list[str]:
    values = [cost.processor for of in costs.values() for cost in of.values()]
    least, most = math.floor(math.log10(max(min(values), 1e-3))), math.ceil(math.log10(max(values)))
    bottom = _PANEL_HEIGHT - 40

    def at_x(size: float) -> float:
        first, last = math.log(axis.sizes[0]), math.log(axis.sizes[-1])
        return _LEFT + (math.log(size) - first) / (last - first) * (_PANEL_WIDTH - _LEFT - 10)

    def at_y(value: float) -> float:
        share = (math.log10(max(value, 1e-3)) - least) / max(most - least, 1)
        return bottom - share * (bottom - _TOP)

    parts = [f'<text x="{_LEFT}" y="20" font-size="14">{escape(axis.title)}</text>']
    for power in range(least, most + 1):
        y = at_y(10.0**power)
        parts.append(f'<line x1="{_LEFT}" x2="{_PANEL_WIDTH - 10}" y1="{y:.0f}" y2="{y:.0f}" stroke="#8884"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.0f}" text-anchor="end">{10.0**power:g} ms</text>')
    parts += [
        f'<text x="{at_x(size):.0f}" y="{bottom + 18}" text-anchor="middle">{size:,}</text>' for size in axis.sizes
    ]
    labelled = bottom + 0.0
    for name, of in sorted(costs.items(), key=lambda pair: next(reversed(pair[1].values())).processor):
        fast = exponent(of) > allowed(axis)
        points = " ".join(f"{at_x(size):.1f},{at_y(cost.processor):.1f}" for size, cost in of.items())
        colour = "#c17d10" if fast else "#2f7d4f"
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{2 if fast else 1}"/>')
        # A label stands at its line's end, or above the one below it.
        labelled = min(at_y(next(reversed(of.values())).processor), labelled - 13)
        parts.append(f'<text x="{_PANEL_WIDTH - 4}" y="{labelled + 4:.0f}" font-size="11">{escape(name)}</text>')
    return parts


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
