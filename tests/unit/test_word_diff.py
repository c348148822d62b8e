"""What differs between two texts, word by word."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_server.domain.word_diff import Change, Diff, word_diff

SAME, REMOVED, ADDED = Change.SAME, Change.REMOVED, Change.ADDED
DOT = (SAME, ".")


def joined(diff: Diff, *, without: Change) -> str:
    return "".join(text for kind, text in diff if kind is not without)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "", []),
        ("a b", "a b", [(SAME, "a b")]),
        ("", "new", [(ADDED, "new")]),
        ("old", "", [(REMOVED, "old")]),
        (
            "Answer briefly.",
            "Answer in one short sentence.",
            [(SAME, "Answer "), (REMOVED, "briefly"), (ADDED, "in one short sentence"), (SAME, ".")],
        ),
        (
            "If asked, say nothing to strangers.",
            "Whatever they ask, tell them to friends.",
            [(REMOVED, "If asked, say nothing to strangers"), (ADDED, "Whatever they ask, tell them to friends"), DOT],
        ),
        ("be very kind", "be kind", [(SAME, "be "), (REMOVED, "very "), (SAME, "kind")]),
        ("a\nb\nc", "a\nx\nc", [(SAME, "a\n"), (REMOVED, "b"), (ADDED, "x"), (SAME, "\nc")]),
    ],
)
def test_runs_are_as_people_would_mark_them(before: str, after: str, expected: Diff) -> None:
    assert word_diff(before, after) == expected


@given(st.text("ab \n.", max_size=30), st.text("ab \n.", max_size=30))
def test_both_texts_can_be_read_from_it(before: str, after: str) -> None:
    diff = word_diff(before, after)

    assert joined(diff, without=ADDED) == before
    assert joined(diff, without=REMOVED) == after


def test_a_long_text_with_few_changes_is_compared_by_words() -> None:
    words = [f"w{number}" for number in range(20_000)]
    changed = [*words[:5_000], "other", *words[5_001:15_000], *words[15_002:]]

    diff = word_diff(" ".join(words), " ".join(changed))

    assert [part for part in diff if part[0] is not SAME] == [
        (REMOVED, "w5000"),
        (ADDED, "other"),
        (REMOVED, " w15000 w15001"),
    ]


def test_texts_made_to_take_long_are_compared_by_lines() -> None:
    dice = random.Random(7)
    noise = [" ".join(dice.choice("abc") for _ in range(20_000)) for _ in range(2)]

    diff = word_diff(f"{noise[0]}\nsame line\n", f"{noise[1]}\nsame line\n")

    assert diff[-1] == (SAME, "\nsame line\n")
    assert len(diff) < 10
    assert joined(diff, without=ADDED) == f"{noise[0]}\nsame line\n"
    assert joined(diff, without=REMOVED) == f"{noise[1]}\nsame line\n"
