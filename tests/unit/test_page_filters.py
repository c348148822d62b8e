"""What people write into a search box: a filter, words, and times."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrail_server.domain import trace_filters, written_times
from mltrail_server.domain.clock import iso
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.filters import parse
from mltrail_server.domain.page_filters import MAX_PERIODS, MAX_WORD, MAX_WORDS, read, with_milliseconds
from tests.clock import DAY, HOUR

NOW = 1_790_000_000_000  # Monday, 2026-09-21T14:13:20Z
TODAY = NOW - NOW % DAY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("accuracy", ["accuracy"]),
        ("  tree   net ", ["tree", "net"]),
        ('"two words" tree', ["two words", "tree"]),
        ("'lr=0.1'", ["lr=0.1"]),
        ("tree AND net", ["tree", "net"]),
        ("run like mine in is", ["run", "like", "mine", "in", "is"]),
        ("it's today's", ["it's", "today's"]),
        ("tree tree", ["tree"]),
        ("2026-11-21", ["2026-11-21"]),
        ("`'\"", ["`'\""]),
        ("AND", []),
        ("", []),
    ],
)
def test_a_text_without_a_comparison_is_words(text: str, words: list[str]) -> None:
    found = read(text, NOW)
    assert list(found.words) == words
    assert not found.clauses


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss < 0.3 AND params.`a AND b` = 'x AND y'",
        "params.model in ('a', 'b')",
        "tags.x IS NOT NULL",
        "run_name LIKE 'a%'",
        "start_time > 1700000000000",
        "params.schedule = 'today'",
        "params.`last 7 days` = 'x'",
    ],
)
def test_a_filter_means_what_it_means_in_mlflow(text: str) -> None:
    assert tuple(read(text, NOW).clauses) == parse(text)
    assert not read(text, NOW).words


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("metrics.loss <", "a value is missing"),
        ("metrics.loss", "a comparison is missing"),
        ("metrics.loss > 1 AND", "nothing follows"),
        ("metrics.loss > 1 AND metrics.acc", "a comparison is missing"),
        ("metrics.loss BETWEEN 1 AND 2", "BETWEEN is not supported"),
        ("params.a == 'x'", "write = instead of =="),
        ("tree OR net", "OR is not supported"),
        ("start_time > 'soon'", "can't be read as a time"),
        ("start_time != 'today'", "can't be compared with !="),
        ("start_time > '2026-02-30'", "can't be read as a time"),
        ("start_time > '999999 years ago'", "can't be read as a time"),
        (" ".join(map(str, range(MAX_WORDS + 1))), "can have at most"),
        ("x" * (MAX_WORD + 1), "can have at most"),
        ("last 7 days " * (MAX_PERIODS + 1), "can have at most 8 periods"),
    ],
)
def test_what_cannot_be_read_is_explained(text: str, problem: str) -> None:
    with pytest.raises(MltrailError, match=problem):
        read(text, NOW)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("last 7 days", [(">=", NOW - 7 * DAY)]),
        ("LAST 24 hours", [(">=", NOW - DAY)]),
        ("today", [(">=", TODAY)]),
        ("this week", [(">=", TODAY)]),
        ("yesterday", [(">=", TODAY - DAY), ("<", TODAY)]),
        ("last week", [(">=", TODAY - 7 * DAY), ("<", TODAY)]),
        ("start_time > '2026-09-20'", [(">=", TODAY - DAY)]),
        ("start_time > 2026-09-20", [(">=", TODAY - DAY)]),
        ("start_time <= '2026-09-20'", [("<", TODAY)]),
        ("start_time < '2026-09-20'", [("<", TODAY - DAY)]),
        ("start_time = '2026-09-20'", [(">=", TODAY - DAY), ("<", TODAY)]),
        ("start_time > '2026-09-21 14:30'", [(">=", TODAY + 14 * HOUR + HOUR // 2)]),
        ("start_time >= '2026-09-21T14:30+02:00'", [(">=", TODAY + 12 * HOUR + HOUR // 2)]),
        ("start_time > '7 days ago'", [(">=", NOW - 7 * DAY)]),
        ("start_time > an hour ago", [(">=", NOW - HOUR)]),
        ("start_time > '1700000000000'", [(">=", 1_700_000_000_000)]),
    ],
)
def test_times_are_written_as_people_write_them(text: str, bounds: list[tuple[str, int]]) -> None:
    assert [(one.key, one.operator, one.value) for one in read(text, NOW).clauses] == [
        ("start_time", operator, float(milliseconds)) for operator, milliseconds in bounds
    ]


def test_a_period_stands_beside_words_and_comparisons_and_each_part_can_be_removed() -> None:
    for text in (
        "tree last 7 days AND metrics.`a b` > 1",
        "last 7 days AND tree AND metrics.`a b` > 1",
        "tree AND metrics.`a b` > 1 AND last 7 days",
        "metrics.`a b` > 1 AND last 7 days AND tree",
    ):
        mixed = read(text, NOW)
        assert list(mixed.words) == ["tree"]
        assert list(mixed.parts) == ["metrics.`a b` > 1", "tree", "last 7 days"]
    for place in range(3):
        rest = read(mixed.without(place), NOW)
        assert list(rest.parts) == [part for number, part in enumerate(mixed.parts) if number != place]
    assert list(read(mixed.with_part("params.x = '1'"), NOW).parts) == [
        "metrics.`a b` > 1",
        "params.x = '1'",
        "tree",
        "last 7 days",
    ]


def test_months_and_years_end_where_they_end() -> None:
    def span(text: str) -> tuple[str, str]:
        found = written_times.read(text, NOW)
        assert found
        return iso(found.begin_ms)[:10], iso(found.end_ms)[:10]

    assert span("2026-02") == ("2026-02-01", "2026-03-01")
    assert span("last month") == ("2026-08-01", "2026-09-01")
    assert span("last year") == ("2025-01-01", "2026-01-01")
    leap = written_times.read("1 month ago", 1_774_958_400_000)  # 2026-03-31T12:00Z
    assert leap
    assert iso(leap.begin_ms).startswith("2026-02-28T12:00")


@given(st.text(alphabet="ab'\"`=<>().,:-+0123456789 ANDORlasttodyingmetrics", max_size=60))
def test_any_text_is_read_or_refused_as_wrong(text: str) -> None:
    try:
        found = read(text, NOW)
    except MltrailError:
        return
    again = read(" AND ".join(found.parts) if found.clauses else " ".join(found.parts), NOW)
    assert sorted(again.words) == sorted(found.words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("trace.status = 'OK' AND tags.x = 'today'", "trace.status = 'OK' AND tags.x = 'today'"),
        ("tags.`start_time` = '2026-11-21'", "tags.`start_time` = '2026-11-21'"),
        ("metadata.end_time = '1'", "metadata.end_time = '1'"),
        ("timestamp_ms > 1700000000000", "trace.timestamp_ms > 1700000000000"),
        ("trace.start_time >= today", f"trace.timestamp_ms >= {TODAY}"),
        ("today AND tags.a = 'b'", f"tags.a = 'b' AND trace.timestamp_ms >= {TODAY}"),
        ('END_TIME<="1 hour ago"', f"trace.end_time_ms < {NOW - HOUR + 1}"),
        (
            "yesterday",
            f"trace.timestamp_ms >= {TODAY - DAY} AND trace.timestamp_ms < {TODAY}",
        ),
    ],
)
def test_times_in_a_filter_on_traces_become_milliseconds(text: str, expected: str) -> None:
    assert with_milliseconds(text, NOW) == expected
    trace_filters.parse(expected)


PIECES = [*"'\"` =<>.0", " AND ", "end_time", "timestamp_ms", "trace.", "today", "last 7 days", "9" * 30]


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_any_filter_on_traces_is_rewritten_or_refused(text: str) -> None:
    with contextlib.suppress(MltrailError):
        with_milliseconds(text, NOW)
