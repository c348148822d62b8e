"""Search runs and experiments."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters
from mltrail_server.domain.candidate import ViewType
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.tracking import experiments as experiments_store
from mltrail_server.store.tracking import search as run_search
from mltrail_server.store.tracking.experiments import Experiment

from .candidates import CandidateData, amended

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
    """Return a page of candidates with all that was logged to them, in as many statements however long it is."""
    check_limit(limit)
    clauses = filters.parse(filter_text)
    orders = filters.parse_orders(order_by)
    if len(experiment_iids) > filters.MAX_LIST:
        raise invalid(Reason.TOO_MANY_EXPERIMENTS, most=filters.MAX_LIST)
    with scope.project.search() as tx:
        matches = run_search.search(
            tx,
            experiment_iids=experiment_iids,
            stages=view.stages,
            clauses=clauses,
            orders=orders,
            limit=limit,
            token=token,
            logged=scope.deps.metric_key_cache,
        )
        some = [(candidate, matches.logged[candidate.iid]) for candidate in matches.candidates]
        return CandidatePage(amended(tx, some, keys=scope.deps.metric_key_cache), matches.next_token)


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
    with scope.project.slow_read(once=True) as tx:
        matches, next_token = experiments_store.search(
            tx, stages=view.stages, clauses=clauses, orders=orders, limit=limit, token=token
        )
    return ExperimentPage(matches, next_token)


def check_limit(limit: int) -> None:
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
