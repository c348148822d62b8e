"""Spans are laid out as a tree on a time axis, whatever clients send."""

from mltrail_server.domain.span_tree import placed
from mltrail_server.domain.spans import Span


def span(name: str, start: int, end: int | None, parent: str | None = None) -> Span:
    return Span(name, name, start, parent, end)


def order(*spans: Span) -> list[tuple[str, int]]:
    return [(one.span.name, one.depth) for one in placed(spans)]


def test_children_come_below_their_parents_by_time() -> None:
    root, late, early, inner = (
        span("root", 0, 100),
        span("late", 50, 60, "root"),
        span("early", 10, 40, "root"),
        span("inner", 20, 30, "early"),
    )
    assert order(inner, late, root, early) == [("root", 0), ("early", 1), ("inner", 2), ("late", 1)]


def test_places_are_shares_of_the_whole_time() -> None:
    shown = {one.span.name: (one.start, one.width) for one in placed([span("a", 100, 300), span("b", 150, 200, "a")])}
    assert shown == {"a": (0.0, 1.0), "b": (0.25, 0.25)}


def test_what_still_runs_ends_with_the_trace() -> None:
    shown = placed([span("a", 0, None), span("b", 10, 40, "a")])
    assert [one.ended_ns for one in shown] == [40, 40]


def test_odd_links_lose_no_span() -> None:
    assert order(span("a", 0, 1, "gone"), span("b", 1, 2, "b")) == [("a", 0), ("b", 0)]
    assert order(span("a", 0, 1, "b"), span("b", 1, 2, "a")) == [("a", 0), ("b", 1)]
    assert order() == []


def test_an_end_before_the_beginning_has_no_width() -> None:
    assert [one.width for one in placed([span("a", 10, 5)])] == [0.0]


def test_a_deep_trace_is_laid_out() -> None:
    chain = [span(str(number), number, None, str(number - 1) if number else None) for number in range(10_000)]
    assert placed(chain)[-1].depth == 9_999
