"""An experiment's runs in groups: by a parameter, a tag, their job or pipeline, or as repeats of each other.

Repeats are what the note on a merge request takes for one candidate: runs whose parameters are equal, apart from those
that vary chance or name a fold. Spread is the standard deviation of a sample, as it is there, and copies count once:
runs with the same parameters, seed included, and exactly the same results. What is grouped are the newest runs that
match, up to a bound, which the page says.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mltrail_server.domain import direction, filter_text, grouping, looks, selection
from mltrail_server.domain.direction import Better, MetricDirection, worth_showing
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.grouping import REPEAT_OVER, Run, RunState, usable
from mltrail_server.domain.statistics import Summary, summarise
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.services.tracking import experiments
from mltrail_server.store.db.paging import mark_of, read_token, written_token
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import groups as store
from mltrail_server.store.pages import tables as table_store
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment

from . import matching, tables
from .tables import CandidateRow, Table, TableQuery

MOST_RUNS = 1_000
"""How many runs are grouped at most, the newest that match."""
MOST_OPENED = 10
MOST_SHOWN = 50
"""How many groups are opened at a time, and how many runs each of them shows."""
_MOST_PARAMS_READ = 40_000
_MOST_METRICS_READ = 40_000
_MOST_PARAMS = 6
_MOST_IN_FILTER = 20
_SAMPLED = 20
_FOLD = frozenset({"fold"})
_PIPELINE_TAG = "gitlab.CI_PIPELINE_ID"

Values = Mapping[str, str]
"""What the runs of a group share, by name."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """Runs that have the same value, or the same parameters. `key` is what `opened` names a group by; `label` has what
    its runs share, by name, and is empty for runs that lack what they are grouped by.

    `iids` are all its runs. Its failed runs, of which there are `failed`, and its `copies` don't count in `metrics`.
    `best` has the metrics whose mean is the best of all groups. `runs` are the newest of an opened group. `filter` is
    what shows the group's runs in the table, or "" if no filter can.
    """

    key: str
    label: Values
    iids: Sequence[int]
    failed: int
    copies: frozenset[int]
    metrics: Mapping[str, Summary]
    best: frozenset[str] = frozenset()
    opened: bool = False
    runs: Sequence[CandidateRow] = ()
    filter: str = ""
    pipeline_id: int | None = None  # if they are grouped by pipeline

    @property
    def count(self) -> int:
        return len(self.iids)


@dataclass(frozen=True, slots=True)
class GroupTable:
    """A page of groups. `groups` counts them all, and `runs` those that were grouped: the newest that match. `params`
    are the names in the groups' labels, and `ignored` those that repeats may differ in. `table` is what else the page
    says about the runs: it has no rows, apart from pinned runs, and no best values. `of_jobs` says whether jobs made
    some of the runs.
    """

    by: str
    rows: Sequence[GroupRow]
    metrics: Sequence[str]
    params: Sequence[str]
    directions: Mapping[str, MetricDirection]
    groups: int
    runs: int
    next_token: str | None
    table: Table
    of_jobs: bool = False
    ignored: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Group:
    """Members are in the order in which they were found, the newest first."""

    label: Values
    members: Sequence[Candidate]
    failed: int
    copies: frozenset[int]
    metrics: Mapping[str, Summary]


def page(scope: Scope, experiment_iid: int, query: TableQuery, by: str, opened: Sequence[str] = ()) -> GroupTable:
    """Return a page of groups, in the order of `query.orders`: by a metric's mean, by a parameter in their labels, by
    `count` or by `key`; or else those with the newest runs first. A fixed number of statements.

    Raises NOT_FOUND for an unknown experiment, INVALID for what runs can't be grouped by.
    """
    _check(by)
    wanted = replace(query, flat=True).wanted
    with scope.project.slow_read() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        total = matching.total(tx, experiment_iid, query.view)
        further = matching.also(tx, experiment_iid, wanted, total)
        found = matching.find(tx, experiment_iid, wanted, further=further, orders=(), limit=MOST_RUNS, token=None)
        count = matching.count(tx, experiment_iid, wanted, further=further, found=found, first=True, total=total)
        candidates = found.candidates
        iids = [one.iid for one in candidates]
        of_groups = table_store.metric_names(tx, sorted(iids[:_SAMPLED]))
        metrics = list(query.metrics) if query.metrics is not None else worth_showing(of_groups, tables.MOST_METRICS)
        contract = directions_service.newest_contract(tx)
        models = selection.models_of(contract, [experiment.name])
        directions = direction.directions_of(metrics, models)
        chance = frozenset().union(*(one.repeat_over | frozenset(one.pair_by) for one in models)) or REPEAT_OVER | _FOLD
        made = store.made_by(tx, iids)
        labels = _labels(tx, iids, by, made, chance)
        latest = store.metrics(tx, iids, metrics)
        failed = {one.iid for one in candidates if _has_failed(one, made.get(one.iid))}
        members = _members(candidates, labels)
        groups = _summarised(members, latest, failed, _copies(tx, members.values(), latest, failed, chance))
        params = _params(groups, by, query)
        groups = _sorted(groups, query.orders)
        mark = mark_of("groups", experiment_iid, by, query.text or query.clauses, query.orders, query.view)
        start = _start(query.token, mark)
        shown = groups[start : start + query.limit]
        rows = _opened(tx, shown, _best(groups, directions), opened, metrics, params)
        grouped = sum(len(one.members) for one in groups)
        table = replace(
            _table(tx, experiment, query, iids[:_SAMPLED], of_groups),
            metrics=metrics,
            directions=directions,
            total=total.number,
            total_is_more=total.is_more,
            matching=max(count.number, grouped),
            matching_is_more=count.is_more,
            notes=matching.notes(wanted, found, limit=1, total=total),
        )
    return GroupTable(
        by,
        [replace(one, label=_shown(one.label, params), filter=_filter(by, one.label, params)) for one in rows],
        metrics,
        params,
        directions,
        len(groups),
        grouped,
        written_token([start + query.limit], mark) if start + query.limit < len(groups) else None,
        table,
        bool(made),
        sorted(chance) if by == "repeats" else (),
        _notes(grouped, more=found.next_token is not None or grouped < len(candidates)),
    )


def _table(
    tx: Transaction, experiment: Experiment, query: TableQuery, sampled: Sequence[int], of_groups: Sequence[str]
) -> Table:
    """Read what can be chosen as columns, and the pinned runs. Names include those of the newest runs, whether they
    match or not, so that the chooser offers the same whatever the filter. A filter costs one statement, pins cost five.
    """
    newest = table_store.newest(tx, experiment.iid, query.view.stages, limit=_SAMPLED)
    pinned = tables.pinned(tx, query.pins)
    others = sorted({*newest, *(one.iid for one in pinned)}.difference(sampled))
    known = {*of_groups, *(table_store.metric_names(tx, others) if others else ())}
    differ = table_store.params_that_differ(tx, sorted({*others, *sampled}))
    params = list(query.params) if query.params is not None else tables.distinguishing(differ)
    return Table(
        experiment,
        rows=[],
        metrics=[],
        params=params,
        all_metrics=sorted({*known, *(query.metrics or ())}),
        all_params=sorted({*differ, *params}),
        next_token=None,
        total=0,
        total_is_more=False,
        directions={},
        pinned=tables.rows_of(tx, pinned, (), params) if pinned else [],
    )


def _check(by: str) -> None:
    prefix, dot, key = by.partition(".")
    if by not in ("job", "pipeline", "repeats") and not (dot and key and prefix in ("params", "tags")):
        raise invalid(f"Runs can't be grouped by {by!r}. Group them by params.…, tags.…, job, pipeline or repeats.")


def _labels(
    tx: Transaction, iids: Sequence[int], by: str, made: Mapping[int, store.MadeBy], chance: frozenset[str]
) -> Mapping[int, Values]:
    """Map each run to what it shares with its group. One statement, if any."""
    if by == "job":
        return {iid: {"job": made[iid].job_name or ""} if iid in made else {} for iid in iids}
    if by == "pipeline":
        return {iid: {"pipeline": str(made[iid].pipeline_id)} if iid in made else {} for iid in iids}
    if by == "repeats":
        params, _ = store.params(tx, iids, most=_MOST_PARAMS_READ)
        return {iid: {key: value for key, value in own.items() if key not in chance} for iid, own in params.items()}
    prefix, _, key = by.partition(".")
    values = store.values(tx, iids, key, of_tags=prefix == "tags")
    return {iid: {key: values[iid]} if iid in values else {} for iid in iids}


def _has_failed(candidate: Candidate, made: store.MadeBy | None) -> bool:
    return candidate.status in table_store.FAILED or (made is not None and made.job_status in table_store.FAILED_JOB)


def _members(
    candidates: Sequence[Candidate], labels: Mapping[int, Values]
) -> Mapping[frozenset[tuple[str, str]], Sequence[Candidate]]:
    found: dict[frozenset[tuple[str, str]], list[Candidate]] = {}
    for one in candidates:
        if one.iid in labels:
            found.setdefault(frozenset(labels[one.iid].items()), []).append(one)
    return found


def _summarised(
    groups: Mapping[frozenset[tuple[str, str]], Sequence[Candidate]],
    latest: Mapping[str, Mapping[int, float]],
    failed: set[int],
    copies: frozenset[int],
) -> list[_Group]:
    # MLflow writes infinity, which can't enter a mean, as the largest double.
    entering = {name: {iid: one for iid, one in of_all.items() if usable(one)} for name, of_all in latest.items()}
    found = []
    for shared, members in groups.items():
        counting = _iids(members, failed)
        own = copies.intersection(counting)
        each = [iid for iid in counting if iid not in own]
        summaries = {
            name: summarise(values)
            for name, of_all in entering.items()
            if (values := [of_all[iid] for iid in each if iid in of_all])
        }
        found.append(_Group(dict(sorted(shared)), members, len(members) - len(counting), own, summaries))
    return found


def _iids(members: Sequence[Candidate], failed: set[int]) -> list[int]:
    """Return the runs that have not failed."""
    return [one.iid for one in members if one.iid not in failed]


def _copies(
    tx: Transaction,
    groups: Iterable[Sequence[Candidate]],
    latest: Mapping[str, Mapping[int, float]],
    failed: set[int],
    chance: frozenset[str],
) -> frozenset[int]:
    """Find the runs that are copies of others, as the note does: see `looks.without_copies`.

    Only runs that have equal values in all metrics that are shown can be copies, so most pages read nothing for this.
    The others take three statements.
    """
    counting = [_iids(members, failed) for members in groups]
    doubtful = [(iids, same) for iids in counting if (same := _alike(iids, latest))]
    if not doubtful:
        return frozenset()
    params, _ = store.params(tx, [iid for iids, _ in doubtful for iid in iids], most=_MOST_PARAMS_READ)
    alike = frozenset().union(*(same for _, same in doubtful)) & params.keys()
    logged = store.all_metrics(tx, sorted(alike), most=_MOST_METRICS_READ)
    found: set[int] = set()
    for iids, same in doubtful:
        known = [iid for iid in iids if iid in params and (iid in logged or iid not in same)]
        found |= _copied([_run(iid, params[iid], logged.get(iid) or _of(iid, latest)) for iid in known], chance)
    return frozenset(found)


def _run(iid: int, params: Values, metrics: Mapping[str, float]) -> Run:
    return Run(iid, "", RunState.SUCCEEDED, params, metrics)


def _copied(runs: Sequence[Run], chance: frozenset[str]) -> set[int]:
    kept = [looks.without_copies(repeats) for repeats in grouping.group(runs, repeat_over=chance)]
    return {run.iid for run in runs} - {run.iid for repeats in kept for run in repeats.runs}


def _alike(iids: Sequence[int], latest: Mapping[str, Mapping[int, float]]) -> frozenset[int]:
    """Choose the runs whose shown metrics all equal another run's."""
    if len(iids) < 2:
        return frozenset()
    shown = {iid: repr(sorted(own.items())) for iid in iids if (own := _of(iid, latest))}
    often = Counter(shown.values())
    return frozenset(iid for iid, values in shown.items() if often[values] > 1)


def _of(iid: int, latest: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    return {name: of_all[iid] for name, of_all in latest.items() if iid in of_all}


def _key(label: Values) -> str:
    return hashlib.sha256(repr(sorted(label.items())).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _best(groups: Sequence[_Group], directions: Mapping[str, MetricDirection]) -> dict[str, float]:
    """Find the best mean of each metric of known direction, unless all are equal."""
    best: dict[str, float] = {}
    for name, way in directions.items():
        means = {one.metrics[name].mean for one in groups if name in one.metrics}
        if len(means) > 1 and way.better is not Better.UNKNOWN:
            best[name] = max(means) if way.better is Better.HIGHER else min(means)
    return best


def _row(one: _Group, best: Mapping[str, float]) -> GroupRow:
    marked = frozenset(name for name, own in one.metrics.items() if best.get(name) == own.mean)
    iids = [member.iid for member in one.members]
    return GroupRow(_key(one.label), one.label, iids, one.failed, one.copies, one.metrics, marked)


def _sorted(groups: list[_Group], orders: Sequence[Order]) -> list[_Group]:
    """Sort by the first order that groups have; a group without the value comes last, whatever the direction."""
    for order in orders:
        value = _sort_value(order, groups)
        if value is not None:
            having = [(found, one) for one in groups if (found := value(one)) is not None]
            lacking = [one for one in groups if value(one) is None]
            having.sort(key=lambda pair: pair[0], reverse=order.descending)
            return [one for _, one in having] + lacking
    return groups


Sortable = tuple[float | str, ...]


def _sort_value(order: Order, groups: Sequence[_Group]) -> Callable[[_Group], Sortable | None] | None:
    if order.entity is Entity.METRIC:
        name = order.key
        return lambda one: (one.metrics[name].mean,) if name in one.metrics else None
    if order.entity is Entity.ATTRIBUTE and order.key == "count":
        return lambda one: (len(one.members),)
    if order.entity is Entity.ATTRIBUTE and order.key == "key":
        return _by_label(sorted({name for one in groups for name in one.label}))
    if order.entity in (Entity.PARAM, Entity.TAG) and any(order.key in one.label for one in groups):
        return _as_sortable(order.key)
    return None


def _by_label(names: Sequence[str]) -> Callable[[_Group], Sortable | None]:
    keys = [_as_sortable(name) for name in names]
    return lambda one: tuple(part for key in keys for part in key(one) or (math.inf, "")) if one.label else None


def _as_sortable(name: str) -> Callable[[_Group], Sortable | None]:
    """Sort values as numbers before those that are none."""

    def value(one: _Group) -> Sortable | None:
        text = one.label.get(name)
        if text is None:
            return None
        try:
            number = float(text)
        except ValueError:
            return math.inf, text
        return (math.inf if math.isnan(number) else number), text

    return value


def _params(groups: Sequence[_Group], by: str, query: TableQuery) -> list[str]:
    """Choose which names of the labels are shown: of repeats, the parameters that differ."""
    if by != "repeats":
        return [by.partition(".")[2] or by]
    if query.params is not None:
        return list(query.params)
    names = sorted({name for one in groups for name in one.label})
    differ = [name for name in names if len({one.label.get(name) for one in groups}) > 1]
    return (differ or names)[:_MOST_PARAMS]


def _shown(label: Values, params: Sequence[str]) -> Values:
    return {name: label[name] for name in params if name in label}


def _filter(by: str, label: Values, params: Sequence[str]) -> str:
    """Write what shows a group's runs in the table."""
    if by == "job":
        return ""
    entity = Entity.PARAM if by == "repeats" or by.startswith("params.") else Entity.TAG
    names = [_PIPELINE_TAG if by == "pipeline" else name for name in (label if by == "repeats" else params)]
    values = list(label.values()) if label else [None]
    if by == "repeats" and (not label or len(label) > _MOST_IN_FILTER):
        return ""
    clauses = [
        Clause(entity, name, "=" if value is not None else "IS NULL", value)
        for name, value in zip(names, values, strict=True)
    ]
    try:
        return filter_text.written(clauses)
    except ValueError:
        return ""


def _start(token: str | None, mark: str) -> int:
    values = read_token(token, mark, 1)
    return values[0] if values and isinstance(values[0], int) and values[0] > 0 else 0


def _opened(
    tx: Transaction,
    groups: Sequence[_Group],
    best: Mapping[str, float],
    opened: Sequence[str],
    metrics: Sequence[str],
    params: Sequence[str],
) -> list[GroupRow]:
    """Make the rows of groups, with the newest runs of those that are opened. At most four statements."""
    made = [_row(one, best) for one in groups]
    chosen = [place for place, row in enumerate(made) if row.key in opened][:MOST_OPENED]
    members = [candidate for place in chosen for candidate in groups[place].members[:MOST_SHOWN]]
    rows = {row.candidate.iid: row for row in tables.rows_of(tx, members, metrics, params)} if members else {}
    for place in chosen:
        runs = [rows[candidate.iid] for candidate in groups[place].members[:MOST_SHOWN]]
        made[place] = replace(made[place], opened=True, runs=runs)
    return made


def _notes(grouped: int, *, more: bool) -> list[str]:
    return [f"Only the newest {grouped:,} runs that match are in these groups."] if more else []
