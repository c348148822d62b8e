"""Histories of one metric over several candidates, thinned out for charts.

A call costs four statements and one for all candidates: their numbers, those of what others have logged to them, the
metric's number, steps, points.
"""

import bisect
from collections.abc import Sequence

from mltrail_server.domain.candidate import Point
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking import histories as store

from . import evidence

MOST_RUNS = 100
MOST_POINTS = 25_000
MOST_PER_RUN = 2_500

Points = list[tuple[str, Point]]


def bulk(scope: Scope, eids: Sequence[str], key: str, *, limit: int = MOST_POINTS) -> Points:
    """Fetch the points of up to 100 candidates, with the candidate that each belongs to; unknown ones have none."""
    with scope.project.slow_read() as tx:
        known = _numbers(tx, eids, key)
        found = store.bulk(tx, list(known), key, limit=max(0, min(limit, MOST_POINTS)))
    # MLflow orders them by the run's id.
    return sorted(((known[iid], point) for iid, point in found), key=lambda one: one[0])


def interval(scope: Scope, eids: Sequence[str], key: str, *, start: int | None, end: int | None, limit: int) -> Points:
    """Fetch about `limit` steps of each candidate between two steps (both or neither is given), evenly spread.

    All candidates are shown at the same steps, and each at its first and last.
    """
    with scope.project.slow_read() as tx:
        known = _numbers(tx, eids, key)
        of_each = store.steps_of(tx, list(known), key)
        found = store.at_steps(tx, list(known), key, _sample(of_each, start, end, limit))
    by_run: dict[str, list[Point]] = {}
    for iid, point in found:
        by_run.setdefault(known[iid], []).append(point)
    return [(eid, point) for eid in dict.fromkeys(eids) for point in by_run.get(eid, [])[:MOST_PER_RUN]]


def _numbers(tx: Transaction, eids: Sequence[str], key: str) -> dict[int, str]:
    known = candidates.iids_of(tx, eids)
    return evidence.with_histories(tx, known, key)


def _sample(of_each: dict[int, list[int]], start: int | None, end: int | None, limit: int) -> list[int]:
    every = sorted({step for steps in of_each.values() for step in steps})
    if not every:
        return []
    low, high = (every[0], every[-1]) if start is None or end is None else (start, end)
    inside = every[bisect.bisect_left(every, low) : bisect.bisect_right(every, high)]
    ends = {step for steps in of_each.values() for step in (steps[0], steps[-1]) if low <= step <= high}
    if len(inside) > limit:
        picked = {inside[int(place * len(inside) / limit)] for place in range(limit)} | {inside[-1]}
    else:
        picked = set(inside)
    return sorted(picked | ends)
