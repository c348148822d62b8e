"""What a roll back goes back to."""

import pytest

from mltrail_server.domain.alias_history import standing


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
