"""What the person who looks at a page may change, for templates: asked only where a page offers it.

Every page gets one as `possible`, so that the menu of a run needs nothing from the page that it is on.
"""

from dataclasses import dataclass

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.identity import Access
from mltrail_server.http.call import Call
from mltrail_server.services.pages import consequences
from mltrail_server.services.pages.consequences import RunEdits
from mltrail_server.services.promotion import offer
from mltrail_server.services.promotion.offer import Offer
from mltrail_server.store.tracking.candidates import Candidate


@dataclass(frozen=True, slots=True)
class PossibleEdits:
    """Each answer takes a fixed number of statements, and none for a person who can't write."""

    call: Call

    def of_run(self, run: Candidate) -> RunEdits | None:
        return consequences.of_run(self.call.scope, run) if self._may_write else None

    def promotion(self, run: Candidate) -> Offer | None:
        """Return what promoting a run would do, or why it can't be promoted; None where nothing is to be said of it."""
        if not self._may_write or run.stage is Stage.DELETED:
            return None
        return offer.of_run(self.call.scope, run.iid)

    @property
    def _may_write(self) -> bool:
        return self.call.actor.may(Access.WRITE)
