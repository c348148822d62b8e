"""Which parameter mattered: importance, parallel coordinates and scatter plots over all matching runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode

from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mltrail_server.domain import filter_text, importance, numbers
from mltrail_server.domain.direction import Better
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.filters import Clause, Entity
from mltrail_server.domain.importance import Analysis, Importance, Verdict
from mltrail_server.http.call import Call
from mltrail_server.services.pages import sweep as service
from mltrail_server.services.pages.sweep import METRIC, PARAM, Brush, Sweep, SweepQuery

from . import sentences
from .parallel import Plot, Value, plot, scaled
from .render import page
from .table_state import State

_RAMP = ("#d27830", "#bf8350", "#a88d6e", "#838d98", "#668aaf", "#4284c5", "#1e76d8")
"""From the worst runs to the best: one lightness, so that all can be seen on light and on dark backgrounds."""
_LOW, _HIGH, _IS = "low:", "high:", "is:"
_MOST_BRUSHES, _MOST_WORDS = 12, 50
_MOST_DOTS = 300
_MOST_SCATTERS = 6
_SIDE, _LEFT, _BOTTOM, _TOP, _RIGHT = (280, 180), 46, 22, 8, 10


@dataclass(frozen=True, slots=True)
class SweepState:
    """What the page's address says: the table's filter and view, the metric, the axes and what is chosen on them."""

    table: State
    metric: str = ""
    brushes: tuple[tuple[str, Brush], ...] = ()

    @classmethod
    def read(cls, arguments: MultiDict[str, str], now: int) -> Self:
        """Read a query string at the time `now`. What is no number is no end of a brush."""
        brushes: dict[str, Brush] = {}
        for name in arguments:
            for prefix in (_LOW, _HIGH, _IS):
                key = name.removeprefix(prefix)
                if key != name and key.startswith((METRIC, PARAM)) and key not in brushes:
                    brush = Brush(
                        importance.number(arguments.get(_LOW + key)),
                        importance.number(arguments.get(_HIGH + key)),
                        frozenset(arguments.getlist(_IS + key)[:_MOST_WORDS]),
                    )
                    if brush != Brush():
                        brushes[key] = brush
        kept = tuple(brushes.items())[:_MOST_BRUSHES]
        return cls(State.read(arguments, now), arguments.get("metric", "").strip(), kept)

    def pairs(self, *, brushes: bool = True) -> list[tuple[str, str]]:
        """List the query's names and values, for links and for hidden fields of forms."""
        found = [("filter", self.table.filter), ("view", "" if self.table.view == "active" else self.table.view)]
        found = [(name, value) for name, value in [*found, ("metric", self.metric)] if value]
        found += [("c", key) for key in self.table.columns or ()]
        for key, brush in self.brushes if brushes else ():
            found += [(_LOW + key, f"{brush.low!r}")] if brush.low is not None else []
            found += [(_HIGH + key, f"{brush.high!r}")] if brush.high is not None else []
            found += [(_IS + key, word) for word in sorted(brush.words)]
        return found

    def url(self, *, brushes: bool = True) -> str:
        return "?" + urlencode(self.pairs(brushes=brushes))


@dataclass(frozen=True, slots=True)
class Scatter:
    """One parameter or metric against the metric. `dots` are the run's place, x and y."""

    label: str
    dots: list[tuple[int, float, float]]
    marks: list[tuple[str, float]]
    top: str
    bottom: str
    log: bool
    left_out: int  # runs without a value


@dataclass(frozen=True, slots=True)
class Effect:
    """A parameter's line of the table of importance. `best` are the values whose runs do best."""

    found: Importance
    best: str
    trend: str

    @property
    def bar(self) -> int:
        """Its share of a bar of 100."""
        return round(100 * self.found.share)


def show(call: Call, iid: int) -> ResponseReturnValue:
    """Show a sweep. A wrong filter is explained above it, and all runs are shown."""
    state = SweepState.read(call.request.args, call.scope.now)
    problem = state.table.problem
    try:
        sweep = service.view(call.scope, iid, _wanted(state))
    except MltrailError as error:
        if error.code is not Code.INVALID or not state.table.filter:
            raise
        problem = sentences.of(error)
        sweep = service.view(call.scope, iid, _wanted(SweepState(State(view=state.table.view), state.metric)))
    columns = [(key, key.partition(".")[2], values) for key, values in sweep.columns.items()]
    drawn = _plot(sweep, columns)
    listed = sweep.brushed[: service.LISTED]
    return page(
        call,
        "sweep.html",
        section="experiments",
        sweep=sweep,
        state=state,
        problem=problem,
        headline=headline(sweep),
        effects=_effects(sweep),
        plot=drawn,
        chosen=frozenset(sweep.brushed),
        groups=_by_colour(sweep.drawn, len(sweep.runs)),
        brushes=dict(state.brushes),
        labels=[label for _, label, _ in columns[:-1]],
        scatters=_scatters(sweep, columns[:-1]),
        listed=[(place, [_text(values[place]) for _, _, values in columns[:-1]]) for place in listed],
        table=_table(state, sweep),
        up=(numbers.at_a_glance(max(sweep.values)), numbers.at_a_glance(min(sweep.values)))
        if sweep.values
        else ("", ""),
        ramp=_RAMP,
        side=_SIDE,
    )


def _wanted(state: SweepState) -> SweepQuery:
    columns = state.table.columns
    search = state.table.search
    return SweepQuery(search.clauses, state.table.view_type, state.metric, columns, dict(state.brushes), search.words)


def headline(sweep: Sweep) -> str:
    """Answer which parameter mattered, or say why that is unknown."""
    analysis, metric = sweep.analysis, sweep.metric
    if analysis is None or analysis.constant or not analysis.parameters:
        return _nothing_to_judge(sweep)
    of = _size(analysis)
    if analysis.too_few:
        return f"Too few runs to tell which parameter mattered: {of}, and at least {importance.LEAST} are needed."
    matter = [one for one in analysis.parameters if one.verdict is Verdict.MATTERS]
    if not matter:
        return f"With {of}, no parameter's effect on {metric} can be told apart from chance."
    first, *rest = matter
    text = (
        f"{first.name} mattered most for {metric}: on its own it explains {percent(first.share)} of the variation "
        f"({percent(first.low)} to {percent(first.high)}; {of})."
    )
    if rest:
        others = ", ".join(f"{one.name} ({percent(one.share)})" for one in rest[:3])
        text += f" {others} mattered, too." if len(rest) <= 3 else f" {others} and {len(rest) - 3} more mattered, too."
    return text


def _nothing_to_judge(sweep: Sweep) -> str:
    if not sweep.metric:
        return "No metrics have been logged yet."
    if sweep.analysis is None:
        return f"No finished run has logged {sweep.metric}." if sweep.counts.matching else "No runs match."
    if sweep.analysis.constant:
        return f"All runs have the same {sweep.metric}, so there is nothing to explain."
    return "The runs do not differ in any parameter."


def _size(analysis: Analysis) -> str:
    runs = numbers.count(analysis.runs, "run")
    if analysis.configurations == analysis.runs:
        return runs
    return f"{numbers.count(analysis.configurations, 'configuration')} in {runs}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 or share <= 0 else "1 %"


def _effects(sweep: Sweep) -> list[Effect]:
    analysis = sweep.analysis
    return [Effect(one, _best(one, sweep), _trend(one)) for one in analysis.parameters] if analysis else []


def _best(one: Importance, sweep: Sweep) -> str:
    """Name the values of the runs that do best on the whole."""
    if sweep.direction.better is Better.UNKNOWN or not one.groups:
        return ""
    highest = sweep.direction.better is Better.HIGHER
    return (max if highest else min)(one.groups, key=lambda group: group.standing).label


def _trend(one: Importance) -> str:
    if one.correlation is None or not one.correlates:
        return ""
    return "rises with it" if one.correlation > 0 else "falls with it"


def _plot(sweep: Sweep, columns: Sequence[tuple[str, str, Sequence[Value]]]) -> Plot | None:
    return plot([(key, label, [values[place] for place in sweep.drawn]) for key, label, values in columns])


def _by_colour(places: Sequence[int], count: int) -> list[tuple[str, list[int]]]:
    """Put the drawn runs into groups of one colour, the worst first, so that the best are drawn above them."""
    groups: list[list[int]] = [[] for _ in _RAMP]
    for number, place in enumerate(places):
        groups[-1 - place * len(_RAMP) // max(1, count)].append(number)
    return [(colour, group[::-1]) for colour, group in zip(_RAMP, groups, strict=True) if group]


def _scatters(sweep: Sweep, columns: Sequence[tuple[str, str, Sequence[Value]]]) -> list[Scatter]:
    """Draw the metric over each axis. The dots are some of the runs that are drawn, the best among them."""
    step = max(1, -(-len(sweep.drawn) // _MOST_DOTS))
    places = [*sweep.drawn[: step * 10], *sweep.drawn[step * 10 :: step]]
    up = scaled([sweep.values[place] for place in places])
    return [_scatter(label, values, places, up) for _, label, values in columns[:_MOST_SCATTERS] if up]


def _scatter(
    label: str,
    values: Sequence[Value],
    places: Sequence[int],
    up: tuple[list[float | None], float, float, bool],
) -> Scatter:
    wide, high = _SIDE[0] - _LEFT - _RIGHT, _SIDE[1] - _TOP - _BOTTOM
    read = scaled([values[place] for place in places])
    marks: list[tuple[str, float]] = []
    if read is None:
        shares, marks = _of_words([values[place] for place in places])
        low = top = ""
        log = False
    else:
        shares, log = read[0], read[3]
        low, top = numbers.at_a_glance(read[1]), numbers.at_a_glance(read[2])
    dots = [
        (place, round(_LEFT + across * wide, 1), round(_TOP + (1 - over) * high, 1))
        for place, across, over in zip(places, shares, up[0], strict=True)
        if across is not None and over is not None
    ]
    return Scatter(
        label,
        dots,
        [(word, round(_LEFT + across * wide, 1)) for word, across in marks],
        top,
        low,
        log,
        len(places) - len(dots),
    )


def _of_words(values: Sequence[Value]) -> tuple[list[float | None], list[tuple[str, float]]]:
    order = sorted({str(value) for value in values if value is not None})
    share = {word: (place + 0.5) / len(order) for place, word in enumerate(order)}
    marks = list(share.items()) if len(order) <= 6 else []
    return [None if value is None else share[str(value)] for value in values], marks


def _text(value: Value) -> str:
    return "" if value is None else value if isinstance(value, str) else numbers.at_a_glance(value)


def _table(state: SweepState, sweep: Sweep) -> tuple[str, int]:
    """Return the query of the experiment's table with the runs that are chosen, and how many of them it has.

    MLflow's filters compare parameters as texts only, so a range of them becomes a list of runs.
    """
    clauses = _as_clauses(dict(state.brushes))
    if clauses is None:
        places = sweep.brushed[: service.MOST_NAMED]
        clauses = [Clause(Entity.ATTRIBUTE, "run_id", "IN", tuple(sweep.names[sweep.runs[one]][1] for one in places))]
        count = len(places)
    else:
        count = len(sweep.brushed)
    better = sweep.direction.better
    order = f"metrics.`{sweep.metric}` {'ASC' if better is Better.LOWER else 'DESC'}" if "`" not in sweep.metric else ""
    try:
        text = state.table.search.with_part(filter_text.written(clauses)) if clauses else state.table.filter
    except ValueError:
        return "", 0
    view = "" if state.table.view == "active" else state.table.view
    return urlencode(
        [(name, value) for name, value in (("filter", text), ("order", order), ("view", view)) if value]
    ), count


def _as_clauses(brushes: Mapping[str, Brush]) -> list[Clause] | None:
    """Write what is chosen as a filter; None if MLflow's language can't say it."""
    found: list[Clause] = []
    for key, brush in brushes.items():
        name = key.partition(".")[2]
        if key.startswith(METRIC) and not brush.words:
            found += [Clause(Entity.METRIC, name, ">=", brush.low)] if brush.low is not None else []
            found += [Clause(Entity.METRIC, name, "<=", brush.high)] if brush.high is not None else []
        elif key.startswith(PARAM) and len(brush.words) == 1 and brush.low is None and brush.high is None:
            found.append(Clause(Entity.PARAM, name, "=", next(iter(brush.words))))
        else:
            return None
    return found
