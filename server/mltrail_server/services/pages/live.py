"""What moves on a page while runs are running: their status, and the latest value of each of their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.tracking import candidates, metrics
from mltrail_server.store.tracking.candidates import Candidate

MOST = 100
MOST_KEYS = 200
MOST_VALUES = 5_000


@dataclass(frozen=True, slots=True)
class LiveRun:
    candidate: Candidate
    metrics: list[Point]


def latest(scope: Scope, candidate_iids: Sequence[int], keys: Sequence[str] | None = None) -> list[LiveRun]:
    """Return up to 100 candidates as they are now, with the metrics in `keys`, or with all of them if it is None, up to
    5,000 values. Two statements. Candidates and metrics that do not exist are left out.
    """
    wanted = list(dict.fromkeys(candidate_iids))
    if not wanted or len(wanted) > MOST:
        raise invalid(f"Name one to {MOST} runs by their numbers, as in run=3.")
    if keys is not None and len(keys) > MOST_KEYS:
        raise invalid(f"Name at most {MOST_KEYS} metrics, or none to get all.")
    with scope.project.read() as tx:
        found = candidates.of_iids(tx, wanted)
        iids = [one.iid for one in found]
        points = metrics.latest_of(tx, iids, keys=keys, most=MOST_VALUES) if found else {}
    return [LiveRun(one, points.get(one.iid, [])) for one in found]
