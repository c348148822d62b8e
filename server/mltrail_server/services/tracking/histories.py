"""Histories of metrics: of one run page by page, and of several runs thinned out for charts.

For several runs a call costs four statements, and one more for the numbers of what others have logged to them.
"""

import bisect
from collections.abc import Sequence

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db import paging
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates, history_pages
from mltrail_server.store.tracking import histories as store
from mltrail_server.store.tracking.metrics import Reading

from . import evidence
from .search import check_limit

MOST_RUNS = 100
MOST_POINTS = 25_000
MOST_PER_RUN = 2_500
Points = list[tuple[str, Point]]


def page(
    scope: Scope, eid: str, key: str, *, limit: int | None = None, token: str | None = None
) -> tuple[list[Reading], str | None]:
    """Return a page of a run's values of a metric by time, or all of them without `limit`; none for an unknown key."""
    if not key:
        raise invalid(Reason.METRIC_UNNAMED)
    if limit is not None:
        check_limit(limit)
    mark = paging.mark_of("history", eid, key)
    after = paging.read_token(token, mark, 4)
    most, place = None if limit is None else limit + 1, None if after is None else _place(after)
    with scope.project.slow_read(once=True) as tx:
        points = history_pages.known_order(tx, eid, key, limit=most, after=place)
    if not points:
        with scope.project.slow_read() as tx:
            number = _number(tx, eid, key)
            points = history_pages.page(tx, number, key, scope.deps.history_orders, limit=most, after=place)
    if limit is None or len(points) <= limit:
        return points, None
    value, timestamp_ms, step = points[limit - 1]
    last = [timestamp_ms, step, 0.0 if value is None else value, value is None]
    return points[:limit], paging.written_token(last, mark)


def bulk(scope: Scope, eids: Sequence[str], key: str, *, limit: int = MOST_POINTS) -> Points:
    """Return the points of up to 100 candidates, each with its candidate's id; unknown candidates have none."""
    with scope.project.slow_read() as tx:
        known = _numbers(tx, eids, key)
        points = store.bulk(tx, list(known), key, limit=max(0, min(limit, MOST_POINTS)))
    # MLflow orders them by the run's id.
    return sorted(((known[iid], point) for iid, point in points), key=lambda pair: pair[0])


def interval(scope: Scope, eids: Sequence[str], key: str, *, start: int | None, end: int | None, limit: int) -> Points:
    """Return about `limit` steps of each candidate between two steps (give both or neither), evenly spread.

    All candidates are shown at the same steps, and each also at its first and last.
    """
    with scope.project.slow_read() as tx:
        known = _numbers(tx, eids, key)
        steps_by_run = store.steps_of(tx, list(known), key)
        points = store.at_steps(tx, list(known), key, _sample(steps_by_run, start, end, limit))
    by_run: dict[str, list[Point]] = {}
    for iid, point in points:
        by_run.setdefault(known[iid], []).append(point)
    return [(eid, point) for eid in dict.fromkeys(eids) for point in by_run.get(eid, [])[:MOST_PER_RUN]]


def _number(tx: Transaction, eid: str, key: str) -> int:
    candidate = candidates.get(tx, eid)
    if candidate is None:
        raise not_found(Reason.NO_RUN, eid=eid)
    if not candidate.amended:
        return candidate.iid
    (number,) = evidence.with_histories(tx, {candidate.iid: eid}, key)
    return number


def _numbers(tx: Transaction, eids: Sequence[str], key: str) -> dict[int, str]:
    known = candidates.iids_of(tx, eids)
    return evidence.with_histories(tx, known, key)


def _sample(steps_by_run: dict[int, list[int]], start: int | None, end: int | None, limit: int) -> list[int]:
    all_steps = sorted({step for steps in steps_by_run.values() for step in steps})
    if not all_steps:
        return []
    low, high = (all_steps[0], all_steps[-1]) if start is None or end is None else (start, end)
    inside = all_steps[bisect.bisect_left(all_steps, low) : bisect.bisect_right(all_steps, high)]
    ends = {step for steps in steps_by_run.values() for step in (steps[0], steps[-1]) if low <= step <= high}
    if len(inside) > limit:
        picked = {inside[int(place * len(inside) / limit)] for place in range(limit)} | {inside[-1]}
    else:
        picked = set(inside)
    return sorted(picked | ends)


def _place(values: Sequence[object]) -> tuple[int, int, float, bool]:
    """Read where the previous page ended; the token comes from a client, so it may hold anything."""
    match values:
        case [int(timestamp_ms), int(step), int(value) | float(value), bool(is_nan)] if not (
            isinstance(timestamp_ms, bool) or isinstance(step, bool)
        ):
            return timestamp_ms, step, float(value), is_nan
    raise invalid(Reason.PAGE_UNREADABLE)
