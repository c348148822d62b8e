"""What a search text names directly."""

import pytest

from mltrail_server.domain.jumps import Jump, read


@pytest.mark.parametrize(
    ("text", "jump"),
    [
        ("!12", Jump(merge_request=12)),
        ("#903", Jump(pipeline=903)),
        ("!0", Jump()),
        ("!" + "9" * 40, Jump()),
        ("0123abc", Jump(digits="0123abc")),
        ("0123ABC", Jump(digits="0123abc")),
        ("012345", Jump()),
        ("f" * 65, Jump()),
        ("churn 1.2.0", Jump(version=("churn", "1.2.0"))),
        ("churn v1", Jump(version=("churn", "1"))),
        ("my model 2.0.0-rc.1", Jump(version=("my model", "2.0.0-rc.1"))),
        ("models:/churn/3", Jump(version=("churn", "3"))),
        ("models:/churn@champion", Jump(version=("churn", "champion"))),
        ("churn@champion", Jump(version=("churn", "champion"))),
        ("churn", Jump()),
        ("churn champion", Jump()),
        ("", Jump()),
        (" " * 5000 + "1", Jump()),
    ],
)
def test_read(text: str, jump: Jump) -> None:
    assert read(text) == jump
