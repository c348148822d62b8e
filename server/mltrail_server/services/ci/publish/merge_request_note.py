"""The one note of a merge request, for all its models."""

import logging

from mltrail_server.domain.bot import Task
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import note
from mltrail_server.services.review.report_jobs import is_broken
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import pipelines, publications
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.db.transaction import Transaction

from .publisher import DELETED, KnownObject, Publication, Shown, Wanted, digest

_log = logging.getLogger(__name__)


class MergeRequestNote(Publication):
    """Once a person has deleted it, it stays away until somebody asks for it. `of_train`: the pipeline is a merge
    train's.
    """

    task = Task.NOTE
    stays_deleted = True

    def __init__(
        self, ci: Ci, report: Report, request: MergeRequest, text: str, *, asked: bool, of_train: bool
    ) -> None:
        super().__init__(ci, report.pipeline.id, iid=request.iid, subject=None)
        self._report, self._request, self._text = report, request, text
        self._asked, self._of_train = asked, of_train
        self._known = KnownObject()
        self._found: str | None = None  # the text of one that is not known here
        self._gone = False  # the known one was deleted, and another is wanted

    @property
    def name(self) -> str:
        return f"the note of !{self._request.iid}"

    def kept(self, tx: Transaction) -> KnownObject:
        known = publications.note(tx, self._request.iid)
        if known is not None:
            number = str(known.note_id) if known.note_id is not None else None
            self._known = KnownObject(
                number, known.sha256, known.pipeline_id, known.problem, known.failures, known.next_ms
            )
        return self._known

    def wanted(self, tx: Transaction) -> Wanted | None:
        if not self._is_worth_it():
            return None
        if self._request.note_id is None and self._of_train and not self._asked:
            return None  # what is about to be merged needs no new e-mail
        if pipelines.has_one_of_request_beside(tx, self._report.pipeline, iid=self._request.iid):
            return None
        return Wanted(self._text)

    def _is_worth_it(self) -> bool:
        """A merge request that has logged nothing gets no note unless the gate fails, or somebody asks and a rule says
        something about it. But an existing note must not go on describing an older pipeline.
        """
        if any(model.runs for model in self._report.models) or is_broken(self._report):
            return True
        gated = any(model.outcome is not None for model in self._report.models)
        exists = self._request.note_id is not None
        return (gated and (self._asked or exists)) or (self._asked and exists)

    def find(self) -> str | None:
        """Find the oldest one. There should be only one; if GitLab has made it twice, the younger ones are deleted."""
        gitlab, project_id, iid = self.ci.gitlab, self.ci.project_id, self._request.iid
        bot = gitlab.bot_id(project_id)
        ours = [
            one for one in gitlab.notes(project_id, iid) if one.author_id == bot and note.marked(one.body) is not None
        ]
        ours.sort(key=lambda one: one.id)
        for extra in ours[1:]:
            _log.warning("!%s of project %s has our note twice; note %s is deleted", iid, project_id, extra.id)
            gitlab.delete_note(project_id, iid, extra.id)
        self._found = ours[0].body if ours else None
        return str(ours[0].id) if ours else None

    def create(self, wanted: Wanted) -> Shown:
        made = self.ci.gitlab.create_note(self.ci.project_id, self._request.iid, wanted.body)
        return self._shown(str(made.id), wanted)

    def update(self, number: str, wanted: Wanted) -> Shown | None:
        gitlab, project_id, iid = self.ci.gitlab, self.ci.project_id, self._request.iid
        if self._found is not None and (newer := note.marked(self._found) or 0) > self.pipeline_id:
            # Our database was lost, and the note is about a newer pipeline than this one.
            return Shown(number, None, newer)
        if self._says_already(wanted):
            # Anyone who asks for a note may do so because it was deleted, which GitLab does not say.
            exists = self._found is not None or gitlab.has_note(project_id, iid, int(number))
        else:
            exists = self._write(int(number), wanted)
        self._gone = not exists
        return self._shown(number, wanted) if exists else None

    def _says_already(self, wanted: Wanted) -> bool:
        if self._found is not None:
            return self._found.strip() == wanted.body.strip()
        return self._known.sha256 == wanted.sha256 and self._known.problem is None

    def _write(self, number: int, wanted: Wanted) -> bool:
        gitlab, project_id, iid = self.ci.gitlab, self.ci.project_id, self._request.iid
        try:
            gitlab.update_note(project_id, iid, number, wanted.body)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            # GitLab says the same when the merge request is gone, or hidden from the bot: then this raises.
            gitlab.merge_request(project_id, iid)
            return False
        return True

    def _shown(self, number: str, wanted: Wanted) -> Shown:
        return Shown(number, digest(wanted.body), self.pipeline_id)

    def keep(self, tx: Transaction, shown: Shown) -> None:
        if shown.id is None:
            problem = DELETED if shown.deleted else None
            publications.keep_note(tx, self._request.iid, problem=problem, failures=0, next_ms=None)
            return
        publications.keep_note(
            tx,
            self._request.iid,
            id=int(shown.id),
            pipeline_id=shown.pipeline_id,
            sha256=shown.sha256,
            problem=None,
            failures=0,
            next_ms=None,
            written_ms=tx.now,
        )

    def keep_refusal(self, tx: Transaction, problem: str, *, failures: int, next_ms: int) -> None:
        blank = {"id": None, "sha256": None} if self._gone else {}
        publications.keep_note(tx, self._request.iid, problem=problem, failures=failures, next_ms=next_ms, **blank)

    def forget_refusal(self, tx: Transaction) -> None:
        publications.keep_note(tx, self._request.iid, problem=None, failures=0, next_ms=None)
