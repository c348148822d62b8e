"""The versions that a rollback goes back to."""

import pytest

from mltrail_server.domain.alias_history import before, standing


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ([], []),
        ([1], [1]),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3, 2], [1, 2]),
        ([1, 2, 3, 2, 1], [1]),
        ([1, 2, 1, 3], [1, 3]),
        ([1, None, 2], [1, 2]),
        ([1, 2, None], [1, 2]),
    ],
)
def test_what_stands_under_the_current_version(moves: list[int | None], left: list[int]) -> None:
    assert standing(moves) == left


def test_a_rollback_takes_the_last_version_before_the_current_one() -> None:
    assert before([1, 2, 3, 2], 2) == [1]
    assert before([1, 2, 3], 3) == [2, 1]
    assert before([1, 2, 3], 4) == []
    assert before([1, None], None) == []
