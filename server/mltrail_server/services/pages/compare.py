"""Runs side by side, from any experiments of a project."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.direction import MetricDirection
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.store.pages import tables
from mltrail_server.store.pages.tables import Made
from mltrail_server.store.tracking import candidates, experiments, metrics, params
from mltrail_server.store.tracking.candidates import Candidate

MOST = 20


@dataclass(frozen=True, slots=True)
class Side:
    candidate: Candidate
    experiment: str
    metrics: dict[str, float]
    params: dict[str, str]
    curves: frozenset[str]  # the metrics that have more than a first step
    made: Made | None


@dataclass(frozen=True, slots=True)
class Compared:
    """`directions` says for each metric which way is better."""

    sides: list[Side]
    directions: dict[str, MetricDirection]


def get(scope: Scope, iids: Sequence[int]) -> Compared:
    """Fetch up to 20 candidates by number, in the order that they are asked for, in six statements."""
    wanted = list(dict.fromkeys(iids))
    if len(wanted) > MOST:
        raise invalid(f"At most {MOST} runs can be compared at once, not {len(wanted)}.")
    with scope.project.slow_read() as tx:
        found = {one.iid: one for one in candidates.of_iids(tx, wanted)}
        missing = [iid for iid in wanted if iid not in found]
        if missing:
            raise not_found(f"This project has no run number {missing[0]}.")
        names = experiments.names_of(tx, {one.experiment_iid for one in found.values()})
        of_metrics = metrics.latest_of(tx, wanted)
        of_params = params.of(tx, wanted)
        made = {one.candidate_iid: one for one in tables.made_by(tx, wanted)}
        keys = {point.key for points in of_metrics.values() for point in points}
        told = directions_service.of_runs(tx, keys, experiments=names.values())
    sides = [
        Side(
            found[iid],
            names[found[iid].experiment_iid],
            {point.key: point.value for point in of_metrics.get(iid, [])},
            dict(of_params.get(iid, [])),
            frozenset(point.key for point in of_metrics.get(iid, []) if point.step > 0),
            made.get(iid),
        )
        for iid in wanted
    ]
    return Compared(sides, told)
