"""Lines of charts can be seen on both backgrounds, and told apart."""

import itertools

import pytest

from mltrail_server.ui.colours import BACKGROUNDS, CONTRAST, MOST, PALETTE, colour, contrast, dashes, distance


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_every_colour_can_be_seen(background: str) -> None:
    assert [shade for shade in PALETTE if contrast(shade, background) < CONTRAST] == []


def test_colours_differ_most_where_few_are_drawn() -> None:
    assert len(set(PALETTE)) == MOST
    pairs = {
        (one, other): distance(PALETTE[one], PALETTE[other]) for one, other in itertools.combinations(range(MOST), 2)
    }
    assert min(away for (_, other), away in pairs.items() if other < 10) > 0.06
    assert min(away for (one, other), away in pairs.items() if other == one + 1) > 0.045
    assert min(pairs.values()) > 0.035
    assert colour(MOST) == colour(0)


def test_many_lines_differ_by_dash_too() -> None:
    assert [dashes(place) for place in (0, 9)] == [(), ()]
    assert len({dashes(place) for place in (9, 10, 20, 30)}) == 4


def test_contrast_is_as_wcag_has_it() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert distance("#ffffff", "#000000") == pytest.approx(1, abs=1e-3)
