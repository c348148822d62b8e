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
    """Compute the metrics of runs that have traces, by the run's number. They are unknown if some traces of a run are
    deleted or too many to be read. One statement if no run has any, else three or four.
    """
    linked = evaluations.linked(tx, [run.iid for run in runs])
    read = _newest(linked)
    spent = _spent(tx, [run for run in runs if run.iid in read])
    found = {iid: one.metrics() for iid, one in spent.items()}
    for iid, count in linked.items():
        if count.deleted or iid not in read:
            found[iid] = trace_metrics.unknown(found.get(iid) or [trace_metrics.LATENCY_P50])
    return found


def _spent(tx: Transaction, runs: Sequence[Run]) -> dict[int, Spent]:
    """Read what the traces of runs have taken, each run by its number."""
    spent = {run.iid: Spent() for run in runs}
    if not spent:
        return {}
    jobs = _jobs_of_snapshots(tx, runs)
    counted = set()
    for row in evaluations.traces(tx, list(spent)):
        if row.candidate_iid not in jobs or not evaluations.is_late(row, jobs[row.candidate_iid]):
            counted.add((row.candidate_iid, row.id))
            spent[row.candidate_iid].add_duration(row.duration_ms)
    for text in evaluations.metadata(tx, list(spent), [TOKENS_KEY, COST_KEY]):
        if (text.candidate_iid, text.trace_id) in counted:
            spent[text.candidate_iid].add(text.key, text.value)
    return spent


def _newest(linked: Mapping[int, Linked]) -> set[int]:
    left, read = _MOST_TRACES, set()
    for iid in sorted(linked, reverse=True):
        if 0 < linked[iid].traces <= left:
            left -= linked[iid].traces
            read.add(iid)
    return read


def _jobs_of_snapshots(tx: Transaction, runs: Iterable[Run]) -> dict[int, list[JobRow]]:
    """List the jobs of runs that count as they were before late jobs wrote to them."""
    snapshots = [run.iid for run in runs if run.snapshot_iid is not None]
    found: dict[int, list[JobRow]] = {iid: [] for iid in snapshots}
    for job in evaluations.own_jobs(tx, snapshots) if snapshots else ():
        found[job.candidate_iid].append(job)
    return found
