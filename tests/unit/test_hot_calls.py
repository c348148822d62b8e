"""The calls of training loops cost no more than they did: see `tests/hot_calls.py` for what to do if they cost less."""

from tests.hot_calls import allowed, measured


def test_hot_calls_cost_no_more_than_they_may() -> None:
    found, most = measured(), allowed()

    assert set(found) == set(most)
    over = {
        f"{name}: {cost[kind]:,} {kind}, at most {most[name][kind]:,}"
        for name, cost in found.items()
        for kind in cost
        if cost[kind] > most[name][kind]
    }
    assert over == set()
