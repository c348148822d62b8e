"""Find candidates and their metric histories."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain import filters
from mltrail_server.domain.candidate import Point, ViewType
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.store import candidates as store
from mltrail_server.store import experiment_search, metrics
from mltrail_server.store import search as run_search
from mltrail_server.store.experiments import Experiment

from .candidates import Logged, with_data
from .deps import Scope

MAX_RESULTS = 50_000


@dataclass(frozen=True, slots=True)
class Page:
    items: list[Logged]
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
) -> Page:
    """Find a page of candidates with all that was logged to them: seven statements, however many there are."""
    check_limit(limit)
    clauses = filters.parse(filter_text)
    orders = filters.parse_orders(order_by)
    if not experiment_iids:
        return Page([], None)
    if len(experiment_iids) > filters.MAX_LIST:
        raise invalid(f"'experiment_ids' has more than {filters.MAX_LIST} elements; use several searches.")
    with scope.deps.db.read() as connection:
        found = run_search.search(
            connection,
            scope.project_id,
            experiment_iids=experiment_iids,
            stages=view.stages,
            clauses=clauses,
            orders=orders,
            limit=limit,
            token=token,
        )
        return Page(with_data(connection, scope, found.candidates), found.next_token)


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
    with scope.deps.db.read() as connection:
        found, next_token = experiment_search.search(
            connection,
            scope.project_id,
            stages=view.stages,
            clauses=clauses,
            orders=orders,
            limit=limit,
            token=token,
        )
    return ExperimentPage(found, next_token)


def history(
    scope: Scope, eid: str, key: str, *, limit: int | None = None, after: tuple[int, int, float, bool] | None = None
) -> list[Point]:
    """Fetch a metric's points by time; none for an unknown key."""
    with scope.deps.db.read() as connection:
        candidate = store.get(connection, scope.project_id, eid)
        if candidate is None:
            raise not_found(f"Run with id={eid} not found")
        return metrics.history(connection, scope.project_id, candidate.iid, key, limit=limit, after=after)


def check_limit(limit: int) -> None:
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(
            f"Invalid value {limit} for parameter 'max_results' supplied: it must be from 1 to {MAX_RESULTS}."
        )
