"""Histories of one metric over several candidates, thinned out for charts.

A call costs four statements and one for all candidates: their numbers, those of what others have logged to them, the
metric's number, steps, points.
"""

import bisect
from collections.abc import Sequence

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid
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
    _check(eids, key, "GetMetricHistoryBulk request", "cannot specify more than")
    with scope.project.slow_read() as tx:
        known = _numbers(tx, eids, key)
        found = store.bulk(tx, list(known), key, limit=max(0, min(limit, MOST_POINTS)))
    # MLflow orders them by the run's id.
    return sorted(((known[iid], point) for iid, point in found), key=lambda one: one[0])


def interval(
    scope: Scope, eids: Sequence[str], key: str, *, start: int | None, end: int | None, limit: int | None
) -> Points:
    """Fetch about `limit` steps of each candidate between two steps (both or neither is given), evenly spread.

    All candidates are shown at the same steps, and each at its first and last.
    """
    _check(eids, key, "GetMetricHistoryBulkInterval request", "must specify at most")
    if (start is None) != (end is None):
        raise invalid("If either start step or end step are specified, both must be specified.")
    if start is not None and end is not None and start > end:
        raise invalid(f"end_step must be greater than start_step. Found start_step={start} and end_step={end}.")
    limit = MOST_PER_RUN if limit is None else limit
    if not 0 < limit <= MOST_PER_RUN:
        raise invalid(f"max_results must be between 1 and {MOST_PER_RUN}, not {limit}.")
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


def _check(eids: Sequence[str], key: str, call: str, at_most: str) -> None:
    if not eids:
        raise invalid(
            f"Missing value for required parameter 'run_ids'. {call} must specify at least one run_id; "
            "the parameter may be repeated."
        )
    if len(eids) > MOST_RUNS:
        raise invalid(f"{call} {at_most} {MOST_RUNS} run_ids. Received {len(eids)} run_ids.")
    if not key:
        raise invalid(f"Missing value for required parameter 'metric_key'. {call} must specify a metric_key.")
