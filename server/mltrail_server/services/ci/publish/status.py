"""The gate's outcome as a status of the pipeline, named `mltrail`, which GitLab shows beside its jobs.

Only an outcome is published: a pending status would keep the pipeline from ending.
"""

import logging

from mltrail_contract import Outcome
from mltrail_server.domain import bot
from mltrail_server.domain.bot import Task
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import publications
from mltrail_server.store.db.transaction import Transaction

from .publisher import KnownObject, Publication, Shown, Wanted, digest

_log = logging.getLogger(__name__)


class CommitStatus(Publication):
    """A pipeline has one, and each new one hides those before: nothing is looked for, and nobody can delete it."""

    task = Task.STATUS
    kind = publications.STATUS

    def __init__(self, ci: Ci, report: Report, *, path: str) -> None:
        request = report.merge_request
        subject = str(request.iid) if request is not None else None
        super().__init__(ci, report.pipeline.id, iid=request.iid if request is not None else None, subject=subject)
        self._report, self._path = report, path

    @property
    def name(self) -> str:
        return f"the status of pipeline {self.pipeline_id}"

    def kept(self, tx: Transaction) -> KnownObject:
        says = publications.status(tx, self.pipeline_id)
        return KnownObject(sha256=digest(says) if says is not None else None, problem=self.refused(tx))

    def wanted(self, tx: Transaction) -> Wanted | None:  # noqa: ARG002 - the report says it all
        report = self._report
        if report.waiting or report.gate.outcome is None or report.head != report.pipeline.head:
            return None
        return Wanted(f"{self._state}: {self._description}")

    @property
    def _state(self) -> str:
        return "failed" if self._report.gate.outcome is Outcome.FAIL and self._report.override is None else "success"

    @property
    def _description(self) -> str:
        override = self._report.override
        if override is not None:
            return f"overridden by {' '.join(override.user_name.split())}"
        return self._report.gate.sentence

    def find(self) -> str | None:
        return None

    def create(self, wanted: Wanted) -> Shown | None:  # noqa: ARG002 - it has two parts
        try:
            GateObjects(self.ci.gitlab).set_status(
                self.ci.project_id,
                self._report.pipeline.sha,
                pipeline_id=self.pipeline_id,
                state=self._state,
                description=self._description,
                url=f"{self.ci.deps.settings.external_url.rstrip('/')}/{self._path}/-/ml/experiments",
            )
        except MltrailError as error:
            if error.code is not Code.FORBIDDEN or self.iid is not None:
                raise
            self._explain(error)
            return None
        return Shown(str(self.pipeline_id))

    def _explain(self, error: MltrailError) -> None:
        """Log why there is none: a protected branch accepts no status from a mere Developer."""
        level = self.ci.gitlab.bot_level(self.ci.project_id)
        problem = bot.problem(level, self._path, [Task.STATUS_OF_PROTECTED]) or error.message
        _log.warning("pipeline %s of project %s has no status: %s", self.pipeline_id, self.ci.project_id, problem)

    def update(self, number: str, wanted: Wanted) -> Shown | None:  # noqa: ARG002 - a new one takes the place of the old
        return self.create(wanted)

    def keep(self, tx: Transaction, shown: Shown) -> None:  # noqa: ARG002 - the pipeline's number is its own
        publications.keep_status(tx, self.pipeline_id, f"{self._state}: {self._description}")
