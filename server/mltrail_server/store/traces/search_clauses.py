"""Filters and orders of a search for traces as SQL. What only spans tell, and regular expressions, is left to others:
such a clause is a condition here only as far as the tables can tell that it does not match.
"""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.trace_filters import TraceClause, TraceEntity, TraceOrder
from mltrail_server.domain.traces import TraceState
from mltrail_server.store import schema
from mltrail_server.store.db.filters import compare_number, compare_text
from mltrail_server.store.db.paging import Arrangement, Sorted
from mltrail_server.store.db.planner import as_range, unindexed

_T = schema.trace
_A = schema.assessment
_SPAN = schema.trace_span_name
_LINK, _PROMPT, _RUN = schema.candidate_trace, schema.trace_prompt, schema.candidate

_STATE = sa.case({state.value: state.name for state in TraceState}, value=_T.c.state, else_="STATE_UNSPECIFIED")
_ENDED = _T.c.started_ms + sa.func.coalesce(_T.c.duration_ms, 0)
_NUMBERS: dict[str, sa.ColumnElement[Any]] = {
    "timestamp_ms": _T.c.started_ms,
    "execution_time_ms": _T.c.duration_ms,
    "end_time_ms": _ENDED,
}
_TEXTS: dict[str, sa.ColumnElement[Any]] = {
    "request_id": _T.c.id,
    "status": _STATE,
    "client_request_id": _T.c.client_request_id,
}
_PAIRS = {
    TraceEntity.TAG: schema.trace_tag,
    TraceEntity.METADATA: schema.trace_metadata,
    TraceEntity.RUN: schema.trace_metadata,
}
_KINDS = {TraceEntity.FEEDBACK: Kind.FEEDBACK, TraceEntity.EXPECTATION: Kind.EXPECTATION}
_SPAN_COLUMNS = {"name": _SPAN.c.name, "type": _SPAN.c.type, "status": _SPAN.c.state}
_BOUNDS = (">", ">=", "<", "<=")
# Only what PostgreSQL can read as a number without an overflow, which would be an error.
_NUMBER = r"^-?([0-9]{1,200}(\.[0-9]{1,200})?|[0-9](\.[0-9]{1,20})?[eE][-+]?[0-2]?[0-9]{1,2})$"


def conditions(
    clauses: Sequence[TraceClause], project_id: ProjectId, dialect: str, *, with_sessions: bool
) -> list[sa.ColumnElement[bool]]:
    """Turn a filter into conditions on the trace. With `with_sessions`, what was said of a whole session is looked at,
    too: it counts for each trace of the session.
    """
    of_spans = [one for one in clauses if one.entity is TraceEntity.SPAN]
    found = [_condition(one, project_id, dialect, with_sessions) for one in clauses if one not in of_spans]
    return [*found, _spans(of_spans)] if of_spans else found


def hits(clause: TraceClause, project_id: ProjectId, *, with_sessions: bool) -> sa.Select[Any] | None:
    """Select the traces that a clause matches, in all experiments, if an index holds them together."""
    value = clause.value
    if clause.entity is TraceEntity.ATTRIBUTE and clause.key == "request_id" and clause.operator in ("=", "IN"):
        ids = value if isinstance(value, tuple) else (value,)
        return sa.select(_T.c.id).where(_T.c.project_id == project_id, _T.c.id.in_(ids))
    if clause.entity in (*_KINDS, TraceEntity.ISSUE):
        return None if with_sessions else _assessed(clause, project_id)
    if clause.operator != "=" or not isinstance(value, str) or clause.entity is TraceEntity.ATTRIBUTE:
        return None
    if clause.entity in _PAIRS:
        made_in = _with_value(_PAIRS[clause.entity], clause.key, value, project_id)
        if clause.entity is not TraceEntity.RUN:
            return made_in
        return sa.select(sa.union(_linked(value, project_id), made_in).subquery().c.trace_id)
    return _prompted(value, project_id) if clause.entity is TraceEntity.PROMPT else _named(clause, value, project_id)


def _prompted(value: str, project_id: ProjectId) -> sa.Select[Any]:
    name, _, version = value.partition("/")
    where = (_PROMPT.c.project_id == project_id, _PROMPT.c.name == name, _PROMPT.c.version == version)
    return sa.select(_PROMPT.c.trace_id).where(*where)


def _named(clause: TraceClause, value: str, project_id: ProjectId) -> sa.Select[Any] | None:
    if clause.key != "name":
        return None
    # A trace may come twice; DISTINCT would make SQLite read all spans of the project.
    return sa.select(_SPAN.c.trace_id).where(_SPAN.c.project_id == project_id, as_range(_SPAN.c.name, value))


def _assessed(clause: TraceClause, project_id: ProjectId) -> sa.Select[Any] | None:
    value = clause.value
    if clause.operator not in ("=", "IN") or not isinstance(value, (str, tuple)):
        return None
    if clause.entity is TraceEntity.ISSUE:
        where = (_A.c.project_id == project_id, as_range(_A.c.name, str(value)), _A.c.kind == Kind.ISSUE)
        return sa.select(_A.c.trace_id).where(*where)
    values = (value,) if isinstance(value, str) else value
    found = [
        sa.select(_A.c.trace_id).where(
            _A.c.project_id == project_id,
            _A.c.name == clause.key,
            as_range(_A.c.value_start, text[: schema.VALUE_START]),
            _A.c.value == text,
            _A.c.kind == _KINDS[clause.entity],
            _A.c.valid.is_(sa.true()),
        )
        for text in _spellings(*values)
    ]
    return sa.select(sa.union(*found).subquery().c.trace_id)


def _condition(clause: TraceClause, project_id: ProjectId, dialect: str, with_sessions: bool) -> sa.ColumnElement[bool]:
    if clause.entity is TraceEntity.ATTRIBUTE:
        return _attribute(clause)
    if clause.entity is TraceEntity.RUN and clause.operator == "=":
        in_metadata = _exists(schema.trace_metadata, _pair(schema.trace_metadata, clause))
        return sa.or_(_T.c.id.in_(_linked(str(clause.value), project_id)), in_metadata)
    if clause.entity in _PAIRS:
        table = _PAIRS[clause.entity]
        there = _exists(table, _pair(table, clause))
        return ~there if clause.operator == "IS NULL" else there
    if clause.entity is TraceEntity.PROMPT:
        name, _, version = str(clause.value).partition("/")
        return _exists(_PROMPT, (_PROMPT.c.name == name) & (_PROMPT.c.version == version))
    if clause.entity is TraceEntity.ISSUE:
        return _said(_A.c.kind == Kind.ISSUE, unindexed(_A.c.name) == clause.value)
    return _assessment(clause, dialect, with_sessions)


def _attribute(clause: TraceClause) -> sa.ColumnElement[bool]:
    if clause.key in _NUMBERS:
        return compare_number(_NUMBERS[clause.key], clause.plain)
    column = _TEXTS[clause.key]
    return column.is_not(None) if clause.is_pattern else compare_text(column, clause.plain)


def _pair(table: sa.Table, clause: TraceClause) -> sa.ColumnElement[bool]:
    if clause.operator in ("IS NULL", "IS NOT NULL") or clause.is_pattern:
        return table.c.key == clause.key
    return (table.c.key == clause.key) & compare_text(table.c.value, clause.plain)


def _spans(clauses: Sequence[TraceClause]) -> sa.ColumnElement[bool]:
    """Require one span that matches all clauses, as far as its name, type and state tell."""
    known = [one for one in clauses if one.key in _SPAN_COLUMNS and not one.is_pattern]
    return _exists(_SPAN, *(compare_text(_SPAN_COLUMNS[one.key], one.plain) for one in known))


def _assessment(clause: TraceClause, dialect: str, with_sessions: bool) -> sa.ColumnElement[bool]:
    said = (_A.c.kind == _KINDS[clause.entity], _A.c.valid.is_(sa.true()), _value(clause, dialect))
    there = _said(unindexed(_A.c.name) == clause.key, *said)
    if with_sessions:
        session = _A.c.session.between(_T.c.session, _T.c.session)
        of_session = (_A.c.project_id == _T.c.project_id, session, unindexed(_A.c.name) == clause.key)
        there = sa.or_(there, sa.select(sa.literal(1)).where(*of_session, *said).correlate(_T).exists())
    return ~there if clause.operator == "IS NULL" else there


def _value(clause: TraceClause, dialect: str) -> sa.ColumnElement[bool]:
    """Compare with an assessment's value, which is JSON: 'yes' matches the text "yes", and 'true' also true itself."""
    if clause.operator in ("IS NULL", "IS NOT NULL") or clause.is_pattern:
        return sa.true()
    if clause.operator in _BOUNDS:
        return compare_number(_number(dialect), clause.plain)
    if isinstance(clause.value, tuple):
        return _A.c.value.in_(_spellings(*clause.value))
    if clause.operator in ("=", "!=") and isinstance(clause.value, str):
        spellings = _spellings(clause.value)
        return _A.c.value.in_(spellings) if clause.operator == "=" else _A.c.value.not_in(spellings)
    return compare_text(_A.c.value, clause.plain)


def _number(dialect: str) -> sa.ColumnElement[Any]:
    """Read an assessment's value as a number; NULL if it is none."""
    number = sa.cast(_A.c.value, sa.Double)
    if dialect == "postgresql":
        return sa.case((_A.c.value.op("~")(_NUMBER), number), else_=None)
    return sa.case((_A.c.value.op("GLOB")("[-0-9]*"), number), else_=None)


def _spellings(*values: str) -> list[str]:
    """List how values that a filter names may be written in JSON."""
    found = ((one, json.dumps(one), json.dumps(one, ensure_ascii=False)) for one in values)
    return list(dict.fromkeys(text for texts in found for text in texts))


def _linked(eid: str, project_id: ProjectId) -> sa.Select[Any]:
    same = (_RUN.c.project_id == _LINK.c.project_id) & (_RUN.c.iid == _LINK.c.candidate_iid)
    return (
        sa.select(_LINK.c.trace_id)
        .select_from(_LINK.join(_RUN, same))
        .where(_LINK.c.project_id == project_id, _RUN.c.project_id == project_id, _RUN.c.eid == eid)
    )


def _with_value(table: sa.Table, key: str, value: str, project_id: ProjectId) -> sa.Select[Any]:
    start = as_range(table.c.value_start, value[: schema.VALUE_START])
    where = (table.c.project_id == project_id, table.c.key == key, start, table.c.value == value)
    return sa.select(table.c.trace_id).where(*where)


def _said(*where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Look among a trace's assessments. SQLite would look through all of the project, or through all of that name."""
    owned = (_A.c.project_id == _T.c.project_id, _A.c.trace_id.between(_T.c.id, _T.c.id))
    return sa.select(sa.literal(1)).where(*owned, *where).correlate(_T).exists()


def _exists(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    owned = (table.c.project_id == _T.c.project_id, table.c.trace_id == _T.c.id)
    return sa.select(sa.literal(1)).select_from(table).where(*owned, *where).correlate(_T).exists()


NEWEST = (Sorted(_T.c.started_ms, descending=True), Sorted(_T.c.id))
"""The newest first, which is also how ties are broken."""
_ORDERS: dict[str, sa.ColumnElement[Any]] = {
    "timestamp_ms": _T.c.started_ms,
    "end_time_ms": _ENDED,
    "status": _STATE,
    "request_id": _T.c.id,
    "experiment_id": _T.c.experiment_iid,
}


def is_newest_first(orders: Sequence[TraceOrder]) -> bool:
    """Return whether an order is the one that the index of the newest traces has."""
    if len(orders) != 1:
        return not orders
    first = orders[0]
    return first.entity is TraceEntity.ATTRIBUTE and first.key == "timestamp_ms" and first.descending


def arrangement(orders: Sequence[TraceOrder]) -> Arrangement:
    """What has no value comes last, whatever the direction."""
    made = Arrangement()
    for order in orders:
        if order.entity in _PAIRS:
            _add_pair(made, order)
        elif order.key == "execution_time_ms":
            made.columns.append(Sorted(sa.case((_T.c.duration_ms.is_(None), 1), else_=0)))
            made.columns.append(Sorted(sa.func.coalesce(_T.c.duration_ms, 0), order.descending))
        elif order.key in _ORDERS:
            made.columns.append(Sorted(_ORDERS[order.key], order.descending))
        else:
            known = ", ".join(sorted({*_ORDERS, "execution_time_ms"}))
            raise invalid(Reason.ORDER_KEY, key=order.key, choices=f"sort by one of {known}, or by tags.…, metadata.…")
    made.columns.extend(NEWEST)
    return made


def _add_pair(made: Arrangement, order: TraceOrder) -> None:
    table = _PAIRS[order.entity].alias()
    same = sa.and_(table.c.project_id == _T.c.project_id, table.c.trace_id == _T.c.id, table.c.key == order.key)
    made.joins.append((table, same))
    made.columns.append(Sorted(sa.case((table.c.value.is_(None), 1), else_=0)))
    made.columns.append(Sorted(sa.func.coalesce(table.c.value, ""), order.descending))
