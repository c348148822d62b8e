"""The picture of a comparison: how many times the best peer's speed, item by item, on a scale of powers of ten."""

import math
from xml.sax.saxutils import escape

from .comparison import Comparison
from .mix import TRAINING_ITEM
from .table import ratio

_LINE, _LEFT, _WIDTH = 22, 330, 900
_LEAST, _MOST = 0.1, 1000.0


def drawn(found: Comparison) -> str:
    """Draw bars that begin at 1, to the right where mltrail is faster; a mark stands at each item's target."""
    ratios = [(item, ratio(found.rates.get(item.name, {}))) for item in found.items if item.name != TRAINING_ITEM]
    rows = [(item, times) for item, times in ratios if times is not None]
    height = _LINE * (len(rows) + 2)
    style = 'font-family="sans-serif" font-size="13" fill="#7a7a86" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {style}>',
        "<title>Times the speed of the best peer</title>",
    ]
    for power in range(-1, 4):
        x = _x(10.0**power)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="6" y2="{height - _LINE}" stroke="#8884"/>')
        parts.append(f'<text x="{x:.0f}" y="{height - 4}" text-anchor="middle">{10.0**power:g} times</text>')
    for place, (item, times) in enumerate(rows):
        y = place * _LINE + 10
        begin, end = sorted((_x(1), _x(times)))
        colour = "#2f7d4f" if times >= item.target else "#c17d10"
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 11}" text-anchor="end">{escape(item.name)}</text>')
        parts.append(f'<rect x="{begin:.0f}" y="{y}" width="{max(end - begin, 1):.0f}" height="14" fill="{colour}"/>')
        target = _x(item.target)
        parts.append(
            f'<line x1="{target:.0f}" x2="{target:.0f}" y1="{y - 2}" y2="{y + 16}" stroke="#888" stroke-width="2"/>'
        )
        parts.append(f'<text x="{end + 6:.0f}" y="{y + 11}">{times:.1f}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(times: float) -> float:
    share = (math.log10(min(max(times, _LEAST), _MOST)) + 1) / 4
    return _LEFT + share * (_WIDTH - _LEFT - 50)
