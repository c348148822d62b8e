"""Colours of runs in charts: up to a hundred that can be told apart, on light and on dark backgrounds.

The first ten are chosen by hand. Each further one is, of all colours that contrast enough with both backgrounds, the
one that is farthest from those before it, as the eye sees it (OKLab). So many can't differ much, so lines are also
dashed from the eleventh on.
"""

import math
from itertools import product

MOST = 100
CONTRAST = 3.0
"""Between a line and the page, as WCAG asks for graphics: https://www.w3.org/WAI/WCAG22/Understanding/non-text-contrast."""
BACKGROUNDS = ("#ffffff", "#18171d")  # GitLab's, light and dark
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
_HUES = range(0, 360, 12)
_CHROMAS = (0.06, 0.1, 0.14, 0.18)
_LIGHTNESSES = (0.53, 0.58, 0.63, 0.68)

Lab = tuple[float, float, float]


def colour(place: int) -> str:
    """Return the colour at a place of the palette, as `#rrggbb`; from `MOST` on they repeat."""
    return PALETTE[place % MOST]


def dashes(place: int) -> tuple[int, ...]:
    """Return how the line at a place is dashed: the first ten are not, so that few lines are told apart by colour, and
    many by both.
    """
    return _DASHES[place // len(_CHOSEN) % len(_DASHES)]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def distance(one: str, other: str) -> float:
    """Return how different two colours look: about 0.02 can just be seen."""
    return math.dist(_lab(_linear(one)), _lab(_linear(other)))


def _luminance(shade: str) -> float:
    red, green, blue = _linear(shade)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(shade: str) -> Lab:
    """Read `#rrggbb` as light of red, green and blue, each from 0 to 1."""
    shown = [int(shade[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in shown)
    return red, green, blue


def _lab(linear: Lab) -> Lab:
    """Turn linear sRGB into OKLab: https://www.w3.org/TR/css-color-4/#color-conversion-code."""
    red, green, blue = linear
    long = math.cbrt(0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue)
    medium = math.cbrt(0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue)
    short = math.cbrt(0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def _oklch(lightness: float, chroma: float, hue: float) -> str | None:
    """Turn a colour of OKLCH, hue in degrees, into sRGB; None if no screen shows it."""
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return "#" + "".join(f"{_channel(part):02x}" for part in linear) if all(0 <= part <= 1 for part in linear) else None


def _channel(linear: float) -> int:
    return round(255 * (12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055))


def _palette() -> tuple[str, ...]:
    made = [_oklch(*parts) for parts in product(_LIGHTNESSES, _CHROMAS, _HUES)]
    fit = [shade for shade in made if shade and all(contrast(shade, back) >= CONTRAST for back in BACKGROUNDS)]
    labs = {shade: _lab(_linear(shade)) for shade in fit}
    away = {shade: min(distance(shade, one) for one in _CHOSEN) for shade in fit}
    found = list(_CHOSEN)
    while len(found) < MOST:
        farthest = max(away, key=away.__getitem__)
        found.append(farthest)
        for shade, lab in labs.items():
            away[shade] = min(away[shade], math.dist(lab, labs[farthest]))
    return tuple(found)


PALETTE = _palette()
