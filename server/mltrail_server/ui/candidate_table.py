"""An experiment's runs as a table and as CSV."""

import csv
import io
from collections.abc import Iterator

from flask import Response, redirect, stream_with_context
from flask.typing import ResponseReturnValue

from mltrail_server.domain.clock import iso
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.call import Call
from mltrail_server.services.pages import tables
from mltrail_server.services.pages.tables import CandidateRow, Table, TableQuery

from . import sentences
from .render import page
from .table_state import FIXED, GITLAB, METRIC, PARAM, State, order_of

PAGE = 50
_OPERATORS = ("=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE")
_ATTRIBUTES = ("run_name", "status", "user_id", "tags.gitlab.CI_COMMIT_REF_NAME", "tags.gitlab.CI_COMMIT_SHA")


def show(call: Call, iid: int) -> ResponseReturnValue:
    """Show a page of an experiment's runs. A wrong filter is explained above the table, which then has all runs."""
    arguments = call.request.args
    state = State.read(arguments)
    if arguments.get("k"):
        more = state.with_clause(arguments["k"], arguments.get("op", "="), arguments.get("v", "").strip())
        return redirect(f"{call.pages}/experiments/{iid}{more.url()}", 303)
    problem = state.problem
    try:
        table = tables.page(call.scope, iid, _wanted(state))
    except MltrailError as error:
        if error.code is not Code.INVALID:
            raise
        problem = sentences.of(error)
        table = tables.page(call.scope, iid, _wanted(State(columns=state.columns, view=state.view)))
    local = call.deps.settings.local_mode
    return page(
        call,
        "candidates.html",
        section="experiments",
        table=table,
        state=state,
        problem=problem,
        fixed=[column for column in FIXED if state.shows(column)],
        ci=[column for column in GITLAB if state.shows(column, local=local)],
        metrics=[(name, order_of(METRIC, name), table.directions[name]) for name in table.metrics],
        params=[(name, order_of(PARAM, name)) for name in table.params],
        choices=_choices(table, state, local=local),
        operators=_OPERATORS,
        attributes=_ATTRIBUTES,
    )


def as_csv(call: Call, iid: int) -> ResponseReturnValue:
    """Send all runs that match, in the order of the table and with its columns."""
    state = State.read(call.request.args)
    if state.problem:
        raise MltrailError(Code.INVALID, state.problem)
    table = tables.page(call.scope, iid, _wanted(state))
    wanted = TableQuery(state.clauses, state.orders, state.view_type, metrics=table.metrics, params=table.params)
    lines = _lines(wanted, tables.every(call.scope, iid, wanted))
    return Response(
        stream_with_context(lines),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="experiment-{iid}.csv"'},
    )


def _wanted(state: State) -> TableQuery:
    return TableQuery(
        state.clauses,
        state.orders,
        state.view_type,
        metrics=state.chosen(METRIC),
        params=state.chosen(PARAM),
        limit=PAGE,
        token=state.page,
    )


def _choices(table: Table, state: State, *, local: bool) -> list[tuple[str, list[tuple[str, str, bool]]]]:
    """List what the column chooser offers: groups of key, label and whether it is shown."""
    return [
        ("Run", [(column.key, column.label, state.shows(column)) for column in FIXED]),
        ("GitLab", [(column.key, column.label, state.shows(column, local=local)) for column in GITLAB]),
        ("Metrics", [(METRIC + name, name, name in table.metrics) for name in table.all_metrics]),
        ("Parameters", [(PARAM + name, name, name in table.params) for name in table.all_params]),
    ]


def _lines(wanted: TableQuery, pages: Iterator[list[CandidateRow]]) -> Iterator[str]:
    metrics, params = wanted.metrics or (), wanted.params or ()
    head = ["run", "run_id", "name", "status", "author", "started", "ended", "job", "pipeline", "commit"]
    yield _line([*head, *(METRIC + name for name in metrics), *(PARAM + name for name in params)])
    for rows in pages:
        for row in rows:
            one, made = row.candidate, row.made
            yield _line(
                [
                    one.iid,
                    one.eid,
                    one.name,
                    one.status.name,
                    one.user_name,
                    iso(one.started_ms),
                    "" if one.ended_ms is None else iso(one.ended_ms),
                    made.job_id if made else "",
                    made.pipeline_id if made else "",
                    (made.sha if made else None) or row.tags.get(tables.COMMIT, ""),
                    *(row.metrics.get(name, "") for name in metrics),
                    *(row.params.get(name, "") for name in params),
                ]
            )


def _line(values: list[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_harmless(value) for value in values])
    return out.getvalue()


def _harmless(value: object) -> object:
    """Keep spreadsheets from running a text as a formula: https://owasp.org/www-community/attacks/CSV_Injection."""
    if not isinstance(value, str) or not value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
