"""Find candidates and their metric histories."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db import paging
from mltrail_server.store.tracking import candidates as store
from mltrail_server.store.tracking import experiments as experiments_store
from mltrail_server.store.tracking import metrics
from mltrail_server.store.tracking import search as run_search
from mltrail_server.store.tracking.experiments import Experiment
from mltrail_server.store.tracking.metrics import Reading

from . import evidence
from .candidates import CandidateData, with_data

MAX_RESULTS = 50_000


@dataclass(frozen=True, slots=True)
class CandidatePage:
    items: list[CandidateData]
    next_token: str | None


@dataclass(frozen=True, slots=True)
class ExperimentPage:
    items: list[Experiment]
    next_token: str | None


def runs(
    scope: Scope,
    *,
    experiment_iids: Sequence[int],
    filter_text: str = "",
    order_by: Sequence[str] = (),
    view: ViewType = ViewType.ACTIVE_ONLY,
    limit: int = 1000,
    token: str | None = None,
) -> CandidatePage:
    """Find a page of candidates with all that was logged to them: seven statements, however many there are."""
    check_limit(limit)
    clauses = filters.parse(filter_text)
    orders = filters.parse_orders(order_by)
    if len(experiment_iids) > filters.MAX_LIST:
        raise invalid(Reason.TOO_MANY_EXPERIMENTS, most=filters.MAX_LIST)
    with scope.project.search() as tx:
        found = run_search.search(
            tx,
            experiment_iids=experiment_iids,
            stages=view.stages,
            clauses=clauses,
            orders=orders,
            limit=limit,
            token=token,
        )
        return CandidatePage(with_data(tx, found.candidates), found.next_token)


def experiments(
    scope: Scope,
    *,
    filter_text: str = "",
    order_by: Sequence[str] = (),
    view: ViewType = ViewType.ACTIVE_ONLY,
    limit: int,
    token: str | None = None,
) -> ExperimentPage:
    check_limit(limit)
    clauses = filters.parse(filter_text)
    orders = filters.parse_orders(order_by)
    with scope.project.slow_read() as tx:
        found, next_token = experiments_store.search(
            tx, stages=view.stages, clauses=clauses, orders=orders, limit=limit, token=token
        )
    return ExperimentPage(found, next_token)


def history(
    scope: Scope, eid: str, key: str, *, limit: int | None = None, token: str | None = None
) -> tuple[list[Reading], str | None]:
    """Fetch a page of a metric's values by time, or all without `limit`; none for an unknown key."""
    if not key:
        raise invalid(Reason.METRIC_UNNAMED)
    if limit is not None:
        check_limit(limit)
    mark = paging.mark_of("history", eid, key)
    after = paging.read_token(token, mark, 4)
    with scope.project.slow_read() as tx:
        candidate = store.get(tx, eid)
        if candidate is None:
            raise not_found(Reason.NO_RUN, eid=eid)
        number = candidate.iid
        if candidate.amended:
            (number,) = evidence.with_histories(tx, {candidate.iid: eid}, key)
        points = metrics.history(
            tx, number, key, limit=None if limit is None else limit + 1, after=None if after is None else _place(after)
        )
    if limit is None or len(points) <= limit:
        return points, None
    value, timestamp_ms, step = points[limit - 1]
    place = [timestamp_ms, step, 0.0 if value is None else value, value is None]
    return points[:limit], paging.written_token(place, mark)


def _place(values: Sequence[object]) -> tuple[int, int, float, bool]:
    """Read where a page of a history ended; the token comes from a client, so it may hold anything."""
    match values:
        case [int(timestamp_ms), int(step), int(value) | float(value), bool(is_nan)] if not (
            isinstance(timestamp_ms, bool) or isinstance(step, bool)
        ):
            return timestamp_ms, step, float(value), is_nan
    raise invalid(Reason.PAGE_UNREADABLE)


def check_limit(limit: int) -> None:
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
