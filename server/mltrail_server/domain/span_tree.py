"""The order in which the spans of a trace are shown: each below its parent, with its place on the time axis."""

from collections.abc import Sequence
from dataclasses import dataclass

from .spans import Span


@dataclass(frozen=True, slots=True)
class PlacedSpan:
    """`start` and `width` are shares of the trace's whole time. `ended_ns` of a span that still runs is the trace's."""

    span: Span
    depth: int
    start: float
    width: float
    ended_ns: int


def placed(spans: Sequence[Span]) -> list[PlacedSpan]:
    """Lay out the spans: parents before children, siblings by their beginning.

    Any client may send any spans: one whose parent is missing is shown as a root, and so is one of a circle.
    """
    by_id = {span.id: span for span in reversed(spans)}
    below: dict[str | None, list[Span]] = {}
    for span in sorted(by_id.values(), key=_begin):
        parent = span.parent_id if span.parent_id in by_id and span.parent_id != span.id else None
        below.setdefault(parent, []).append(span)
    begin = min((span.started_ns for span in spans), default=0)
    end = max((max(span.started_ns, span.ended_ns or 0) for span in spans), default=0)
    found: list[PlacedSpan] = []
    seen: set[str] = set()
    for root in [*below.get(None, []), *sorted(by_id.values(), key=_begin)]:
        todo = [(root, 0)]
        while todo:
            span, depth = todo.pop()
            if span.id not in seen:
                seen.add(span.id)
                found.append(_place(span, depth, begin, end))
                todo += [(child, depth + 1) for child in reversed(below.get(span.id, []))]
    return found


def _begin(span: Span) -> tuple[int, str]:
    return span.started_ns, span.id


def _place(span: Span, depth: int, begin: int, end: int) -> PlacedSpan:
    whole = max(1, end - begin)
    ended = end if span.ended_ns is None else max(span.started_ns, span.ended_ns)
    return PlacedSpan(span, depth, (span.started_ns - begin) / whole, (ended - span.started_ns) / whole, ended)
