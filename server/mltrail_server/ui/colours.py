"""Colours of runs in charts: up to a hundred that can be told apart, on light and on dark backgrounds.

The first ten are chosen by hand. The others turn the hue by the golden angle, so that neighbours are far apart, and
change lightness from one to the next.
"""

import math

MOST = 100
_CHOSEN = (
    "#428fdc",
    "#c95d2e",
    "#2da160",
    "#9475db",
    "#cf4d81",
    "#0090b1",
    "#ab6100",
    "#747273",
    "#5a8f29",
    "#d14242",
)
_DASHES = ((), (7, 3), (2, 3), (9, 3, 2, 3))
_GOLDEN_ANGLE = 137.508
_LIGHTNESS = (0.62, 0.52, 0.70)
_CHROMA = (0.13, 0.11, 0.12)


def colour(place: int) -> str:
    """Return the colour at a place of the palette, as `#rrggbb`; from `MOST` on they repeat."""
    return PALETTE[place % MOST]


def dashes(place: int) -> tuple[int, ...]:
    """Return how the line at a place is dashed: the first ten are not, so that few lines are told apart by colour, and
    many by both.
    """
    return _DASHES[place // len(_CHOSEN) % len(_DASHES)]


def _oklch(lightness: float, chroma: float, hue: float) -> str:
    """Turn a colour of OKLCH, hue in degrees, into sRGB: https://www.w3.org/TR/css-color-4/#color-conversion-code."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_channel(part):02x}" for part in linear)


def _channel(linear: float) -> int:
    inside = min(1.0, max(0.0, linear))
    shown = 12.92 * inside if inside <= 0.0031308 else 1.055 * inside ** (1 / 2.4) - 0.055
    return round(255 * shown)


PALETTE = _CHOSEN + tuple(
    _oklch(_LIGHTNESS[place % 3], _CHROMA[place % 3], place * _GOLDEN_ANGLE) for place in range(MOST - len(_CHOSEN))
)
