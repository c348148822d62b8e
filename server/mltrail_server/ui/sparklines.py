"""The course of a metric in the height of a line of text: SVG that needs no script, and no colour of its own."""

from collections.abc import Sequence

from markupsafe import Markup

_WIDTH, _HEIGHT, _EDGE = 120, 24, 2


def drawn(parts: Sequence[tuple[float, float]], described: str) -> Markup:
    """Draw parts of a history, each with its lowest and highest value: a line through their middles, on a band that
    reaches from the one to the other, so that no spike is lost.
    """
    low, high = min(low for low, _ in parts), max(high for _, high in parts)
    # Halved first: the difference of two numbers may be more than there is.
    span = (high / 2 - low / 2) or 1.0
    across = (_WIDTH - 2 * _EDGE) / max(1, len(parts) - 1)

    def place(number: int, value: float) -> str:
        share = (value / 2 - low / 2) / span if high > low else 0.5
        return f"{_EDGE + number * across:.1f},{_HEIGHT - _EDGE - share * (_HEIGHT - 2 * _EDGE):.1f}"

    middles = " ".join(place(number, one[0] / 2 + one[1] / 2) for number, one in enumerate(parts))
    above = [place(number, one[1]) for number, one in enumerate(parts)]
    below = [place(number, one[0]) for number, one in enumerate(parts)]
    band = " ".join([*above, *below[::-1]])
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<polygon points="{}" fill="currentColor" fill-opacity=".25" stroke="none"/>'
        '<polyline points="{}" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linejoin="round"/></svg>'
    ).format(_WIDTH, _HEIGHT, _WIDTH, _HEIGHT, described, band, middles)
