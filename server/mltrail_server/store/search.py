"""Search candidates: MLflow's filters and orders as SQL that walks indexes.

A page is found in one of three ways: the few candidates that a clause leaves are fetched and sorted; small experiments
are sorted as a whole; in large ones the index that has the order already is walked, and each candidate is held against
the clauses until the page is full. What belongs to the candidates is fetched afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.filters import Clause, Entity, Order
from mltrail_server.domain.ids import ProjectId

from .candidates import Candidate, candidate_of
from .paging import mark_of, read_sorted, token_of
from .search_clauses import matches
from .search_orders import arrangement, is_newest_first
from .search_plans import Sizes, choose
from .search_walks import Walk

_SIZES = Sizes()


@dataclass(frozen=True, slots=True)
class Found:
    candidates: list[Candidate]
    next_token: str | None


def search(  # noqa: PLR0913 - `sizes` is for tests, which make small data take the ways of large ones
    connection: sa.Connection,
    project_id: ProjectId,
    *,
    experiment_iids: Sequence[int],
    stages: Sequence[Stage],
    clauses: Sequence[Clause],
    orders: Sequence[Order],
    limit: int,
    token: str | None,
    sizes: Sizes = _SIZES,
) -> Found:
    """Find a page of candidates, in at most five statements. Newest first where the orders leave a tie."""
    experiment_iids = sorted(set(experiment_iids))
    mark = mark_of("candidates", experiment_iids, [int(stage) for stage in stages], clauses, orders)
    newest_first = is_newest_first(orders)
    by = arrangement(() if newest_first else orders, project_id)
    after = read_sorted(token, mark, by.columns)
    conditions = [matches(clause, project_id) for clause in clauses]
    if not experiment_iids:
        return Found([], None)
    plan = choose(
        connection,
        project_id,
        experiment_iids=experiment_iids,
        stages=stages,
        clauses=clauses,
        newest_first=newest_first,
        sizes=sizes,
    )
    walk = Walk(connection, project_id, experiment_iids, stages, conditions)
    if plan.iids is not None or plan.small:
        rows = walk.sorted(by, limit=limit, after=after, iids=plan.iids)
    elif newest_first:
        rows = walk.newest(by, limit=limit, after=after)
    elif orders[0].entity is Entity.METRIC:
        rows = walk.by_metric(orders, limit=limit, after=after)
    else:
        rows = walk.sorted(by, limit=limit, after=after)
    next_token = token_of(rows[limit - 1], by.columns, mark) if len(rows) > limit else None
    return Found([candidate_of(row) for row in rows[:limit]], next_token)
