from itertools import count

import pytest

from mltrail_server.domain.batches import batches


@pytest.mark.parametrize(
    ("things", "expected"), [("", []), ("abc", [["a", "b", "c"]]), ("abcd", [["a", "b", "c"], ["d"]])]
)
def test_batches(things: str, expected: list[list[str]]) -> None:
    assert list(batches(things, 3)) == expected


def test_no_more_is_read_than_the_batch_that_is_asked_for() -> None:
    numbers = count()
    assert next(batches(numbers, 2)) == [0, 1]
    assert next(numbers) == 2
