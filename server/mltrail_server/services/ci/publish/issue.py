"""Scheduled training on the default branch that got worse opens one issue per model, kept current like the note
and closed when the model is as good as before.
"""

from mltrail_contract import Outcome
from mltrail_server.domain.bot import Task
from mltrail_server.domain.conclusion import Level
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.markdown import code, link, title
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review.judged import ModelReport
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import publications
from mltrail_server.store.db.transaction import Transaction

from .publisher import KnownObject, Publication, Shown, Wanted, digest

SCHEDULE = "schedule"
_MOST_LINES = 50


class RegressionIssue(Publication):
    """One that a person has deleted is opened again while the model is worse. Only the worker publishes it, and
    it has the pipeline to itself.
    """

    task = Task.ISSUE
    kind = publications.ISSUE

    def __init__(self, ci: Ci, report: Report, model: ModelReport, *, path: str) -> None:
        super().__init__(ci, report.pipeline.id, iid=None, subject=model.name)
        self._report, self._model = report, model
        self._url = report.pipeline.web_url or links.pipeline(ci.deps.settings, path, report.pipeline.id)
        self._marker = f"<!-- mltrail v1 regression model={digest(model.name)[:16]} -->"
        self._gate = GateObjects(ci.gitlab)
        self._is_open = False

    @property
    def name(self) -> str:
        return f"the issue of {self._model.name!r}"

    def kept(self, tx: Transaction) -> KnownObject:
        known, problem = publications.issue(tx, self._model.name), self.refused(tx)
        self._is_open = known is not None
        if known is None:
            return KnownObject(problem=problem)
        return KnownObject(str(known.issue_iid), known.sha256, known.pipeline_id, problem)

    def wanted(self, tx: Transaction) -> Wanted | None:  # noqa: ARG002 - the report says it all
        if self._is_worse():
            return Wanted(self._body())
        if self._is_open and self._model.comparison.best is not None:
            name = link(code(self._model.name), self._url)
            return Wanted(f"{self._marker}\n{name} is as good as it should be again.", closed=True)
        return None

    def _is_worse(self) -> bool:
        if self._model.outcome is not None:
            return self._model.outcome is Outcome.FAIL
        return self._model.conclusion.level is Level.BAD

    def find(self) -> str | None:
        ours = self._gate.open_issues(self.ci.project_id, self.ci.gitlab.bot_id(self.ci.project_id))
        return next((str(one.iid) for one in ours if one.body.startswith(self._marker)), None)

    def create(self, wanted: Wanted) -> Shown:
        heading = f"Scheduled training of {title(self._model.name) or 'a model'} got worse"
        made = self._gate.create_issue(self.ci.project_id, title=heading, body=wanted.body)
        return Shown(str(made.iid), digest(wanted.body))

    def update(self, number: str, wanted: Wanted) -> Shown | None:
        try:
            self._gate.edit_issue(self.ci.project_id, int(number), wanted.body, close=wanted.closed)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            return None
        return Shown(number, digest(wanted.body), closed=wanted.closed)

    def keep(self, tx: Transaction, shown: Shown) -> None:
        if shown.id is None or shown.closed:
            publications.forget_issue(tx, self._model.name)
            return
        publications.keep_issue(
            tx, self._model.name, issue_iid=int(shown.id), pipeline_id=self.pipeline_id, sha256=shown.sha256
        )

    def _body(self) -> str:
        model = self._model
        lines = [
            f"- {code(one.metric)}: {one.explained}" for one in model.rulings if one.outcome is not Outcome.PASS
        ] or [f"- {code(one.name)}: {one.verdict}: {one.sentence}" for one in model.comparison.metrics]
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES:] = [f"- and {len(lines) - _MOST_LINES} more"]
        listed = "\n".join(lines)
        return (
            f"{self._marker}\nThe scheduled training of {link(code(model.name), self._url)} on "
            f"{code(self._report.target)} got worse: {model.conclusion.sentence}.\n\n{listed}\n\n"
            "<sub>KnownObject current by mltrail, and closed when the model is as good as before.</sub>\n"
        )
