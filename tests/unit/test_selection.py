"""Which paths a model of the contract names: docs of `paths:`."""

import pytest

from mltrail_contract import Model
from mltrail_server.domain.selection import touched


@pytest.mark.parametrize(
    ("glob", "path", "held"),
    [
        ("models/churn/**", "models/churn/train.py", True),
        ("models/churn/**", "models/churn/deep/er/train.py", True),
        ("models/churn/**", "models/churn", False),
        ("models/churn/**", "models/churning/train.py", False),
        ("models/churn", "models/churn/train.py", True),
        ("/models/churn/", "models/churn/train.py", True),
        ("models/*", "models/churn/train.py", True),
        ("*.py", "train.py", True),
        ("*.py", "src/train.py", False),
        ("**/*.py", "train.py", True),
        ("**/*.py", "src/a/train.py", True),
        ("src/**/train.py", "src/train.py", True),
        ("src/**/train.py", "src/a/b/train.py", True),
        ("src/**/train.py", "other/a/train.py", False),
        ("**/a*/**/b?.txt", "x/ab/y/z/b1.txt", True),
        ("**/a*/**/b?.txt", "x/ab/y/z/b12.txt", False),
        ("**", "anything/at/all", True),
        ("data[1]/x", "data[1]/x", True),
        ("data[1]/x", "data1/x", False),
    ],
)
def test_globs_over_paths(glob: str, path: str, held: bool) -> None:
    assert touched(Model("churn", paths=(glob,)), [path]) is held


def test_no_glob_takes_for_ever() -> None:
    # As one regular expression this would not end.
    path = "a/" * 1000 + "b"
    assert not touched(Model("churn", paths=("**/" * 50 + "x", "*a" * 100 + "c")), [path, "a" * 2000])
