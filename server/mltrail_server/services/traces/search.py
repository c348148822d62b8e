"""Search traces.

What the tables can't tell is looked up in the spans themselves, in bounded amounts: such a page may be shorter than
asked for, even empty, and have a token by which the search goes on.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mltrail_server.domain import span_facts
from mltrail_server.domain.association import SMOOTHING, npmi
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.like import LikePattern
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.trace_filters import (
    CONTENT,
    SPAN_ATTRIBUTES,
    TraceClause,
    TraceEntity,
    parse,
    parse_orders,
    written_either_way,
)
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.traces import search as store
from mltrail_server.store.traces import spans as span_places
from mltrail_server.store.traces.search import Wanted
from mltrail_server.store.traces.spans import SpanPart

from . import span_parts, span_records
from .span_records import Record
from .traces import TraceData, with_assessments

try:
    import re2
except ImportError:  # which is optional
    re2 = None

MAX_RESULTS = 500
_AT_ONCE = 100
MOST_READ = 500
MOST_BYTES = 64 * 1024**2
"""How many traces, and how many bytes of their spans, one call looks into."""


@dataclass(frozen=True, slots=True)
class TracePage:
    items: list[TraceData]
    next_token: str | None


class Matches(Protocol):
    def __call__(self, text: str) -> bool: ...


def traces(
    scope: Scope,
    *,
    experiment_iids: Sequence[int],
    filter_text: str = "",
    quick: str = "",
    order_by: Sequence[str] = (),
    limit: int = 100,
    token: str | None = None,
) -> TracePage:
    """Return a page of traces with their assessments: eight statements, however many there are. `quick` is another
    filter, for those who do not know how scorers write yes and no.

    Raises INVALID for what MLflow's filter language does not have.
    """
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
    clauses = (*parse(filter_text), *written_either_way(parse(quick)))
    wanted = Wanted(experiment_iids, clauses, parse_orders(order_by))
    others = [one for one in clauses if one.is_pattern and one.entity is not TraceEntity.SPAN]
    of_spans = [one for one in clauses if one.entity is TraceEntity.SPAN]
    inside = any(one.reads_spans or one.is_pattern for one in of_spans)
    if not others and not inside:
        return _page(scope, wanted, limit, token)
    checks = [_check_of(one) for one in others]
    within = [_span_check_of(one) for one in of_spans] if inside else []
    return _looked_into(scope, wanted, _Look(scope, checks, within), limit=limit, token=token)


@dataclass(frozen=True, slots=True)
class Association:
    """How often two filters match, and how strongly they go together: see `domain.association`."""

    first: int
    second: int
    joint: int
    total: int
    npmi: float
    smoothed: float


def association(
    scope: Scope, *, experiment_iids: Sequence[int], filters: tuple[str, str], base: str = ""
) -> Association:
    """Count the traces that match two filters, among those that match `base`. Raises INVALID for filters that only the
    spans themselves could decide.
    """
    first, second, common = parse(filters[0]), parse(filters[1]), parse(base)
    if any(one.reads_spans or one.is_pattern for one in (*first, *second, *common)):
        raise invalid("A filter for counting traces can't use spans or RLIKE. Use other comparisons.")
    with scope.project.search() as tx:
        total, *matching = store.counts(tx, experiment_iids, common, [first, second, (*first, *second)])
    found = dict(zip(("first", "second", "joint"), matching, strict=True))
    return Association(
        **found, total=total, npmi=npmi(**found, total=total), smoothed=npmi(**found, total=total, smoothing=SMOOTHING)
    )


def _page(scope: Scope, wanted: Wanted, limit: int, token: str | None) -> TracePage:
    with scope.project.search() as tx:
        found = store.search(tx, wanted, limit=limit, token=token)
        return TracePage(with_assessments(tx, found.traces), found.tokens[-1] if found.more else None)


def _looked_into(scope: Scope, wanted: Wanted, look: "_Look", *, limit: int, token: str | None) -> TracePage:
    kept: list[TraceData] = []
    while True:
        with scope.project.search() as tx:
            found = store.search(tx, wanted, limit=_AT_ONCE, token=token)
            batch = with_assessments(tx, found.traces)
            parts = span_places.parts_of(tx, [one.trace.id for one in batch]) if look.within else {}
        for data, following in zip(batch, found.tokens, strict=True):
            if look.finds(data, parts.get(data.trace.id, ())):
                kept.append(data)
            if len(kept) == limit or look.is_over:
                return TracePage(kept, following if found.more or data is not batch[-1] else None)
        if not found.more:
            return TracePage(kept, None)
        token = found.tokens[-1]


@dataclass(slots=True)
class _Look:
    """Looks into traces, and counts what it has read. `checks` are about a trace, `within` about one of its spans."""

    scope: Scope
    checks: Sequence[Callable[[TraceData], bool]]
    within: Sequence[Callable[[str, Record], bool]]
    read: int = 0
    size: int = 0

    @property
    def is_over(self) -> bool:
        """Whether one call has read as much as it may."""
        return self.read >= MOST_READ or self.size >= MOST_BYTES

    def finds(self, data: TraceData, parts: Sequence[SpanPart]) -> bool:
        """Return whether a trace passes, and with it one of its spans."""
        self.read += 1
        if not all(check(data) for check in self.checks):
            return False
        if not self.within:
            return True
        self.size += sum(part.size for part in parts)
        records = span_parts.joined(self.scope, parts)
        return any(all(check(data.trace.id, one) for check in self.within) for one in records)


def _check_of(clause: TraceClause) -> Callable[[TraceData], bool]:
    matches = _matches_of(clause)
    return lambda data: any(matches(text) for text in _texts(data, clause))


def _texts(data: TraceData, clause: TraceClause) -> list[str]:
    trace = data.trace
    if clause.entity is TraceEntity.TAG:
        found: list[str | None] = [trace.tags.get(clause.key)]
    elif clause.entity in (TraceEntity.METADATA, TraceEntity.RUN):
        found = [trace.metadata.get(clause.key)]
    elif clause.entity is TraceEntity.ATTRIBUTE:
        found = [
            {"request_id": trace.id, "status": trace.state.name, "client_request_id": trace.client_request_id}[
                clause.key
            ]
        ]
    else:
        found = [
            json.dumps(one.value)
            for one in data.assessments
            if one.valid and one.name == clause.key and one.kind.name.lower() == clause.entity
        ]
    return [text for text in found if text is not None]


def _span_check_of(clause: TraceClause) -> Callable[[str, Record], bool]:
    matches = _matches_of(clause)

    def check(trace_id: str, record: Record) -> bool:
        text = _span_text(trace_id, record, clause.key)
        return text is not None and matches(text)

    return check


def _span_text(trace_id: str, record: Record, key: str) -> str | None:
    if key == "name":
        return record.name
    if key == "status":
        return span_records.STATES[record.status]
    if key == "type":
        return str(record.attributes.get(span_facts.TYPE, span_facts.UNKNOWN_TYPE))
    if key == CONTENT:
        return span_records.as_traces_json(trace_id, [record]).decode()
    value: Any = record.attributes.get(key.removeprefix(SPAN_ATTRIBUTES))
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _matches_of(clause: TraceClause) -> Matches:
    """Return what compares a text with the value of a clause."""
    value = clause.value
    if isinstance(value, tuple):
        return (lambda text: text in value) if clause.operator == "IN" else (lambda text: text not in value)
    wanted = str(value)
    if clause.operator in ("LIKE", "ILIKE"):
        return LikePattern(wanted, ignore_case=clause.operator == "ILIKE").matches
    if clause.operator == "RLIKE":
        return _expression(wanted)
    return (lambda text: text == wanted) if clause.operator == "=" else (lambda text: text != wanted)


def _expression(pattern: str) -> Matches:
    """Compile a regular expression, by a library whose time grows with the text only."""
    if re2 is None:
        raise MltrailError(
            Code.NOT_IMPLEMENTED,
            "RLIKE needs the Python package google-re2, which this server lacks; the operator can install "
            "mltrail[traces]. Or use LIKE.",
        )
    options = re2.Options()
    options.log_errors = False
    try:
        found = re2.compile(pattern, options)
    except re2.error as error:
        raise invalid(f"The regular expression {pattern[:80]!r} of RLIKE can't be read: {error}.") from error
    return lambda text: found.search(text) is not None
