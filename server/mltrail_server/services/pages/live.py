"""What moves on a page while runs are running: their status, and the latest value of each of their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.tracking import candidates, metrics
from mltrail_server.store.tracking.candidates import Candidate

MOST = 100


@dataclass(frozen=True, slots=True)
class LiveRun:
    candidate: Candidate
    metrics: list[Point]


def latest(scope: Scope, candidate_iids: Sequence[int]) -> list[LiveRun]:
    """Return up to 100 candidates as they are now, in two statements; those that do not exist are left out."""
    wanted = list(dict.fromkeys(candidate_iids))
    if not wanted or len(wanted) > MOST:
        raise invalid(f"Name one to {MOST} runs by their numbers, as in run=3.")
    with scope.project.read() as tx:
        found = candidates.of_iids(tx, wanted)
        points = metrics.latest_of(tx, [one.iid for one in found]) if found else {}
    return [LiveRun(one, points.get(one.iid, [])) for one in found]
