"""Add latency, tokens and cost to runs that have traces of their own, as metrics that nobody has logged."""

from collections.abc import Iterable, Mapping, Sequence

from mltrail_server.domain import trace_metrics
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.trace_metrics import Spent
from mltrail_server.domain.traces import COST_KEY, TOKENS_KEY
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import evaluations
from mltrail_server.store.review.evaluations import JobRow, Linked

_MOST_TRACES = 20_000
"""Of all runs of a report together: the newest runs' come first."""


def of(tx: Transaction, runs: Sequence[Run]) -> dict[int, dict[str, float]]:
    """Compute the metrics of runs that have traces, by the run's number. One statement if none has any, else three or
    four.
    """
    linked = evaluations.linked(tx, [run.iid for run in runs])
    read = _newest(linked)
    if not read:
        return {iid: trace_metrics.unknown([trace_metrics.LATENCY_P50]) for iid in linked}
    late = _jobs_of_snapshots(tx, [run for run in runs if run.iid in read])
    spent = {iid: Spent() for iid in read}
    left_out = set()
    for row in evaluations.traces(tx, read):
        if row.candidate_iid in late and evaluations.is_late(row, late[row.candidate_iid]):
            left_out.add((row.candidate_iid, row.id))
        elif row.duration_ms is not None and row.duration_ms >= 0:
            spent[row.candidate_iid].durations.append(float(row.duration_ms))
    for text in evaluations.metadata(tx, read, [TOKENS_KEY, COST_KEY]):
        if (text.candidate_iid, text.trace_id) in left_out:
            continue
        one, is_cost = spent[text.candidate_iid], text.key == COST_KEY
        number = (trace_metrics.total_cost if is_cost else trace_metrics.total_tokens)(text.value)
        if number is not None:
            (one.costs if is_cost else one.tokens).append(number)
    found = {iid: one.metrics() for iid, one in spent.items()}
    for iid, count in linked.items():
        if count.deleted:
            found[iid] = trace_metrics.unknown(found.get(iid) or [trace_metrics.LATENCY_P50])
    return found


def _newest(linked: Mapping[int, Linked]) -> list[int]:
    left, read = _MOST_TRACES, []
    for iid in sorted(linked, reverse=True):
        if 0 < linked[iid].traces <= left:
            left -= linked[iid].traces
            read.append(iid)
    return read


def _jobs_of_snapshots(tx: Transaction, runs: Iterable[Run]) -> dict[int, list[JobRow]]:
    """List the jobs of runs that count as they were before late jobs wrote to them."""
    snapshots = [run.iid for run in runs if run.snapshot_iid is not None]
    found: dict[int, list[JobRow]] = {iid: [] for iid in snapshots}
    for job in evaluations.own_jobs(tx, snapshots) if snapshots else ():
        found[job.candidate_iid].append(job)
    return found
