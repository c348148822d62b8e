"""LIKE outside a database gives what SQLite's gives."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.like import LikePattern

TEXTS = st.text("aAbé%_.*\\\n", max_size=12)
DATABASE = sqlite3.connect(":memory:")


@given(TEXTS, TEXTS, st.booleans())
def test_it_matches_as_sqlite_does(text: str, pattern: str, ignore_case: bool) -> None:
    text = text.replace("é", "e") if ignore_case else text  # SQLite folds ASCII only
    pattern = pattern.replace("é", "e") if ignore_case else pattern
    DATABASE.execute(f"PRAGMA case_sensitive_like={'OFF' if ignore_case else 'ON'}")
    (expected,) = DATABASE.execute("SELECT ? LIKE ?", (text, pattern)).fetchone()
    if pattern.strip("%").count("%") <= 8:
        assert LikePattern(pattern, ignore_case=ignore_case).matches(text) == bool(expected)


def test_a_pattern_has_a_limit() -> None:
    for pattern in ("a" * 2001, "%a" * 11):
        with pytest.raises(MltrailError, match="at most"):
            LikePattern(pattern)
