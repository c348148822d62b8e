"""Which runs of a large sweep are judged: the same ones each time, and no regular ones."""

from mltrail_server.services.pages.sweep import lot_of


def test_a_small_sweep_is_drawn_as_a_whole() -> None:
    usable = [(float(iid), iid) for iid in range(1, 5001)]
    assert sorted(lot_of(usable)) == usable


def test_of_a_large_one_enough_are_drawn_whatever_their_numbers() -> None:
    for step in (1, 2, 7, 100, 65_536):
        usable = [(0.0, iid * step) for iid in range(1, 100_001)]
        lot = lot_of(usable)
        assert lot == lot_of(usable[::-1])
        assert 5_000 <= len(lot) <= 12_000, step


def test_a_lot_does_not_fall_in_step_with_a_grid() -> None:
    lot = lot_of([(0.0, iid) for iid in range(1, 100_001)])[:5000]
    for period in (2, 5, 10, 16, 20):
        shares = [sum(iid % period == rest for _, iid in lot) / len(lot) for rest in range(period)]
        assert max(shares) < 1.25 / period
        assert min(shares) > 0.75 / period
