"""Runs side by side, from any experiments of a project."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.direction import MetricDirection
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.store.pages import tables
from mltrail_server.store.pages import traces as pages_store
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.tracking import candidates, experiments, metrics, params
from mltrail_server.store.tracking.candidates import Candidate

MOST = 20


@dataclass(frozen=True, slots=True)
class Side:
    candidate: Candidate
    experiment: str
    metrics: dict[str, float]
    params: dict[str, str]
    curves: frozenset[str]  # the metrics with values after the first step
    made: CandidateJob | None
    traces: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """`directions` says for each metric which way is better."""

    sides: list[Side]
    directions: dict[str, MetricDirection]


def get(scope: Scope, iids: Sequence[int]) -> Compared:
    """Return up to 20 candidates by number, in the given order, in seven statements."""
    wanted = list(dict.fromkeys(iids))
    if len(wanted) > MOST:
        raise invalid(f"At most {MOST} runs can be compared at once, not {len(wanted)}.")
    with scope.project.slow_read() as tx:
        by_iid = {candidate.iid: candidate for candidate in candidates.of_iids(tx, wanted)}
        missing = [iid for iid in wanted if iid not in by_iid]
        if missing:
            raise not_found(f"This project has no run number {missing[0]}.")
        names = experiments.names_of(tx, {candidate.experiment_iid for candidate in by_iid.values()})
        metrics_by_iid = metrics.latest_of(tx, wanted)
        params_by_iid = params.of(tx, wanted)
        made = {job.candidate_iid: job for job in tables.made_by(tx, wanted)}
        keys = {point.key for points in metrics_by_iid.values() for point in points}
        traces = pages_store.count_of_runs(tx, wanted)
        directions = directions_service.of_runs(tx, keys, experiments=names.values())
    sides = [
        Side(
            by_iid[iid],
            names[by_iid[iid].experiment_iid],
            {point.key: point.value for point in metrics_by_iid.get(iid, [])},
            dict(params_by_iid.get(iid, [])),
            frozenset(point.key for point in metrics_by_iid.get(iid, []) if point.step > 0),
            made.get(iid),
            traces.get(iid, 0),
        )
        for iid in wanted
    ]
    return Compared(sides, directions)
