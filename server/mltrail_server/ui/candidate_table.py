"""An experiment's page: its runs as a table beside their charts, and the runs as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qs

from flask import Response, redirect, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain import ranges
from mltrail_server.domain.clock import iso
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.http.call import Call
from mltrail_server.services.pages import groups, tables
from mltrail_server.services.pages import workspace as workspace_service
from mltrail_server.services.pages.groups import GroupTable
from mltrail_server.services.pages.tables import CandidateRow, Table, TableQuery
from mltrail_server.services.tracking import saved_views
from mltrail_server.store.tracking.saved_views import SavedView

from . import sentences, workspace
from .render import page
from .table_state import DRAWS, FIXED, GITLAB, METRIC, MOST_DIGITS, PARAM, State, order_of
from .workspace import PALETTE, RunMark

PAGE = 50
_OPERATORS = ("=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE")
_ATTRIBUTES = ("run_name", "status", "user_id", "start_time", "tags.gitlab.CI_COMMIT_REF_NAME")
_STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED", "SCHEDULED")
_MOST_KEYS = 1000
_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class Choice:
    """A column that can be shown."""

    key: str
    label: str
    shown: bool


def show(call: Call, iid: int) -> ResponseReturnValue:
    """Show a page of an experiment's runs. A wrong filter is explained above the table, which then has all runs."""
    arguments = call.request.args
    state = State.read(arguments, call.scope.now)
    here = f"{call.pages}/experiments/{iid}"
    if set(arguments) == {"saved"} and state.saved is not None:
        return redirect(here + opened(saved_views.get(call.scope, iid, state.saved), call.scope.now).url(), 302)
    if arguments.get("k"):
        more = state.with_clause(arguments["k"], arguments.get("op", "="), arguments.get("v", "").strip())
        return redirect(here + more.url(), 303)
    if arguments.get("do"):
        return redirect(here + _pressed(arguments["do"], state, arguments.getlist("shown")), 303)
    return _page(call, iid, state)


def opened(view: SavedView, now: int) -> State:
    """Return the state that a saved view names."""
    found = State.read(MultiDict(parse_qs(view.query, keep_blank_values=True)), now)
    return replace(found, saved=view.id, page=None)


def _pressed(button: str, state: State, shown: Sequence[str]) -> str:
    """Return the address after one of the small buttons of the page was pressed; the workspace's script does the same
    at once. `shown` are the columns that the page had.
    """
    if button.startswith("paint:"):
        return f"{state.url(page=state.page)}&paint={button.removeprefix('paint:')}"
    return state.changed(button, shown).url(page=state.page)


def _page(call: Call, iid: int, state: State) -> ResponseReturnValue:
    table, grouped, problem = _read(call, iid, state)
    rows = list({row.candidate.iid: row for row in (*table.pinned, *_below(table, grouped))}.values())
    return page(
        call,
        "candidates.html",
        section="experiments",
        table=table,
        rows=rows,
        state=state,
        problem=problem,
        operators=_OPERATORS,
        attributes=_ATTRIBUTES,
        keys=_keys(table, rows),
        **_columns(table, state, without_jobs=not _of_jobs(rows, grouped)),
        **_groups(grouped),
        **_charts(call, table, rows, state),
        **_views(call, iid, state),
    )


def _below(table: Table, grouped: GroupTable | None) -> Sequence[CandidateRow]:
    """List the runs below the pinned ones: in a grouped table, those of the open groups."""
    return table.rows if grouped is None else [run for group in grouped.rows for run in group.runs]


def _of_jobs(rows: Sequence[CandidateRow], grouped: GroupTable | None) -> bool:
    return any(row.made for row in rows) or (grouped is not None and grouped.of_jobs)


def _columns(table: Table, state: State, *, without_jobs: bool) -> dict[str, object]:
    return {
        "fixed": [column for column in FIXED if state.shows(column)],
        "ci": [column for column in GITLAB if state.shows(column, without_jobs=without_jobs)],
        "metrics": [(name, order_of(METRIC, name), table.directions[name]) for name in table.metrics],
        "params": [(name, order_of(PARAM, name)) for name in table.params],
        "choices": _choices(table, state, without_jobs=without_jobs),
    }


def _groups(grouped: GroupTable | None) -> dict[str, object]:
    """Return what the page shows of groups. `runs_of` has each group's runs, as the value of its box."""
    if grouped is None:
        return {"grouped": None}
    return {
        "grouped": grouped,
        "runs_of": {row.key: ranges.written(row.iids) for row in grouped.rows},
        "group_params": [(name, order_of(PARAM, name)) for name in grouped.params],
        "group_metrics": [(name, order_of(METRIC, name), grouped.directions[name]) for name in grouped.metrics],
    }


def _charts(call: Call, table: Table, rows: Sequence[CandidateRow], state: State) -> dict[str, object]:
    """Return what the charts show of the page's runs."""
    marked = workspace.marks(rows, state)
    with_curves = workspace_service.metrics_with_curves(call.scope, list(marked))
    charts = workspace.charts(state, with_curves)
    paint = call.request.args.get("paint", type=int)
    return {
        "marks": marked,
        "lines": workspace.lines(rows, marked),
        "charts": charts,
        "chart_choices": [*charts, *sorted({*with_curves, *table.all_metrics}.difference(charts))],
        "closed": state.closed or (not charts and state.charts is None),
        "draws": DRAWS,
        "paint": paint if paint in marked else None,
        "palette": [RunMark(place, hidden=False, drawn=True, pinned=False) for place in range(PALETTE)],
    }


def _views(call: Call, iid: int, state: State) -> dict[str, object]:
    views = saved_views.of_experiment(call.scope, iid)
    current = next((view for view in views if view.id == state.saved), None)
    same = current is not None and _same(opened(current, call.scope.now), state)
    return {"views": views, "current": current, "as_saved": same}


def _read(call: Call, iid: int, state: State) -> tuple[Table, GroupTable | None, str | None]:
    """Read what the page shows, and why it is not what was asked for."""
    try:
        if state.problem is None:
            if state.group:
                grouped = groups.page(call.scope, iid, wanted(state), state.group, state.opened)
                return grouped.table, grouped, None
            return tables.page(call.scope, iid, wanted(state)), None, None
    except MltrailError as error:
        if error.code is not Code.INVALID:
            raise
        state = replace(state, problem=sentences.of(error))
    plain = State(columns=state.columns, view=state.view, pins=state.pins)
    return tables.page(call.scope, iid, wanted(plain)), None, state.problem


def as_csv(call: Call, iid: int) -> ResponseReturnValue:
    """Send all runs that match, in the order of the table and with its columns."""
    state = State.read(call.request.args, call.scope.now)
    if state.problem:
        raise MltrailError(Code.INVALID, state.problem)
    table = tables.page(call.scope, iid, every(state))
    whole = replace(every(state), metrics=table.metrics, params=table.params, flat=True, pins=())
    lines = _lines(whole, tables.every(call.scope, iid, whole))
    return Response(
        stream_with_context(lines),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="experiment-{iid}.csv"'},
    )


def wanted(state: State) -> TableQuery:
    """Return the part of an experiment that a state shows."""
    return TableQuery(
        state.search.clauses,
        state.orders,
        state.view_type,
        metrics=state.chosen(METRIC),
        params=state.chosen(PARAM),
        limit=PAGE,
        token=state.page,
        words=state.search.words,
        text=state.search.text,
        flat=state.flat,
        opened=[int(key) for key in state.opened if key.isascii() and key.isdecimal() and len(key) <= MOST_DIGITS],
        pins=state.pins,
    )


def every(state: State) -> TableQuery:
    """Ask for all runs that match, in the order of the table, or the newest first if they are grouped."""
    query = replace(wanted(state), token=None)
    return replace(query, orders=(), flat=True) if state.group else query


def _same(one: State, other: State) -> bool:
    return sorted(one.pairs()) == sorted(other.pairs())


def _choices(table: Table, state: State, *, without_jobs: bool) -> list[tuple[str, list[Choice]]]:
    """List what the column chooser offers, in groups; those that are shown come first, in their order."""
    return [
        ("Run", [Choice(column.key, column.label, state.shows(column)) for column in FIXED]),
        (
            "GitLab",
            [Choice(column.key, column.label, state.shows(column, without_jobs=without_jobs)) for column in GITLAB],
        ),
        ("Metrics", _named(METRIC, table.metrics, table.all_metrics)),
        ("Parameters", _named(PARAM, table.params, table.all_params)),
    ]


def _named(prefix: str, shown: Sequence[str], known: Sequence[str]) -> list[Choice]:
    hidden = [name for name in known if name not in set(shown)]
    return [Choice(prefix + name, name, name in shown) for name in (*shown, *hidden)]


def _keys(table: Table, rows: Sequence[CandidateRow]) -> Mapping[str, object]:
    """Return what the search box completes: names, and the values that are on this page anyway."""
    values: dict[str, list[str]] = {"status": list(_STATUSES)}
    values["user_id"] = sorted({row.candidate.user_name for row in rows})[:_MOST_VALUES]
    for name in table.params:
        values[PARAM + name] = sorted({row.params[name] for row in rows if name in row.params})[:_MOST_VALUES]
    return {
        "metrics": table.all_metrics[:_MOST_KEYS],
        "params": table.all_params[:_MOST_KEYS],
        "attributes": _ATTRIBUTES,
        "values": values,
    }


def _lines(whole: TableQuery, pages: Iterator[list[CandidateRow]]) -> Iterator[str]:
    metrics, params = whole.metrics or (), whole.params or ()
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
