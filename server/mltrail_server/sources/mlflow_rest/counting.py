"""How many runs there are. MLflow has no call for that, but its page tokens say at which run a page begins.

So a few dozen calls find where an experiment's list ends, however long it is. A server with other page tokens, such as
another mltrail, refuses the first one, and then nothing is counted.
"""

import base64
import json

from mltrail_server.domain.transfer import Counts, Entity
from mltrail_server.sources.http import LostError
from mltrail_server.sources.reading import page

from .server import API, Server
from .tracking import Tracking

_PAGE = 100
_MOST_CALLS = 400


class Counting:
    def __init__(self, server: Server, tracking: Tracking) -> None:
        self._server, self._tracking = server, tracking
        self._calls = 0

    def runs(self) -> Counts | None:
        """Count runs, deleted ones among them; None if that takes too many calls, or can't be found out."""
        counts = Counts()
        self._calls = 0
        try:
            for experiment in self._tracking.experiments():
                counts.add(Entity.RUN, self._runs_of(experiment.id))
        except LostError:
            return None
        return counts

    def _runs_of(self, experiment_id: str) -> int:
        found, more = self._at(experiment_id, 0, _PAGE)
        if not more:
            return found
        least, beyond = _PAGE, 2 * _PAGE  # there is a run at number `least`, counted from 0
        while self._at(experiment_id, beyond, 1)[0]:
            least, beyond = beyond, 2 * beyond
        while beyond - least > 1:
            middle = (least + beyond) // 2
            if self._at(experiment_id, middle, 1)[0]:
                least = middle
            else:
                beyond = middle
        return beyond

    def _at(self, experiment_id: str, offset: int, size: int) -> tuple[int, bool]:
        """Return how many runs the page that begins at `offset` has, and whether more follow."""
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise LostError("Counting takes too many calls.")
        token = base64.b64encode(json.dumps({"offset": offset}).encode()).decode()
        body = {"experiment_ids": [experiment_id], "run_view_type": "ALL", "max_results": size}
        order = {"order_by": ["attribute.start_time ASC"], **({"page_token": token} if offset else {})}
        found, following = page(self._server.rest.post(f"{API}/runs/search", {**body, **order}), "runs")
        return len(found), bool(following)
