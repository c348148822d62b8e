"""The thread that blocks a merge request while the gate fails: GitLab's own "all threads must be resolved", which every
tier has. Broken rules open and reopen it, and it resolves itself once none is broken. A person who resolves it with a
reply overrides the gate, and that is kept.
"""

import logging
from collections.abc import Collection

from mltrail_contract import FILE_NAME, Outcome
from mltrail_server.domain import threads
from mltrail_server.domain.bot import Task
from mltrail_server.domain.identity import Role
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.threads import Thread
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import overrides
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import publications
from mltrail_server.store.ci.merge_requests import MergeRequest
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import overrides as override_store
from mltrail_server.store.review import red_verdicts

from .publisher import ChangedMeanwhileError, KnownObject, Publication, Shown, Wanted, digest

_MARKER = "<!-- mltrail v1 gate -->"
_PASSES = f"{_MARKER}\n**The gate passes** now."
_HOW = (
    "This thread blocks the merge where the project wants all threads resolved. It resolves itself when the gate "
    "passes. To merge all the same, reply with the reason and resolve it: both are kept."
)
_NO_REASON = "Resolved without a reply, so it is open again: please say why."
_NOT_ALLOWED = (
    "Resolved by someone who is not allowed to override the gate, so it is open again: a Maintainer may, or a "
    "Developer who is not the merge request's author."
)
_AFTER = "\n\n*"
_MOST_LINES = 50
"""GitLab refuses a body of more than a million characters, and a thread that is not there blocks nothing."""
_log = logging.getLogger(__name__)


class GateThread(Publication):
    """A deleted one is made again: otherwise deleting it would be a way to merge. The report already knows the
    overrides: see `observe`. `seen_resolved` says that the thread was resolved when that was looked at.
    """

    task = Task.THREAD
    kind = publications.THREAD
    changed_by_people = True

    def __init__(self, ci: Ci, report: Report, request: MergeRequest, *, seen_resolved: bool) -> None:
        super().__init__(ci, report.pipeline.id, iid=request.iid, subject=str(request.iid))
        self._report, self._request, self._seen_resolved = report, request, seen_resolved
        self._gate = GateObjects(ci.gitlab)
        self._is_open = False  # as far as we know
        self._note_id = 0

    @property
    def name(self) -> str:
        return f"the thread of !{self._request.iid}"

    def kept(self, tx: Transaction) -> KnownObject:
        known = publications.thread(tx, self._request.iid)
        self._is_open = known is not None and not known.resolved
        note = publications.note(tx, self._request.iid)
        return KnownObject(
            id=known.discussion_id if known is not None else None,
            sha256=known.sha256 if known is not None else None,
            # Whatever the note is about, the thread is about that or something older.
            pipeline_id=note.pipeline_id if note is not None else None,
            problem=self.refused(tx),
        )

    def wanted(self, tx: Transaction) -> Wanted | None:
        if self._report.waiting:
            return None
        if overrides.broken(self._report):
            return Wanted(_body(self._report), closed=self._report.override is not None)
        if not self._is_open:
            return None
        red = any(one.stands for one in red_verdicts.of(tx, self._request.iid))
        # Only a passing run or a person resolves the thread. It stays open if a model is merely no longer touched, if
        # the merge request has a new target, or if the passing run is an older commit's.
        return None if red or not self._report.is_of_head else Wanted(_PASSES, closed=True)

    def find(self) -> str | None:
        bot = self.ci.gitlab.bot_id(self.ci.project_id)
        every = self._gate.threads(self.ci.project_id, self._request.iid)
        return next((one.id for one in every if one.author_id == bot and one.body.startswith(_MARKER)), None)

    def create(self, wanted: Wanted) -> Shown:
        made = self._gate.create_thread(self.ci.project_id, self._request.iid, wanted.body)
        self._note_id = made.note_id
        return Shown(made.id, digest(wanted.body))

    def update(self, number: str, wanted: Wanted) -> Shown | None:
        thread = self._gate.thread(self.ci.project_id, self._request.iid, number)
        if thread is None:
            return None
        self._note_id = thread.note_id
        failing = wanted.body != _PASSES
        if thread.resolved and failing:
            if self._report.override is not None:
                return Shown(thread.id, digest(thread.body), closed=True)
            if self._is_open and not self._seen_resolved:
                raise ChangedMeanwhileError
        body = self._reopened(thread, wanted.body) if thread.resolved and failing else wanted.body
        if thread.body.strip() != body.strip():
            self._gate.edit_thread(self.ci.project_id, self._request.iid, thread, body)
        # An overridden gate's thread that a person has opened again stays open.
        resolved = wanted.closed if not failing else False
        if thread.resolved != resolved:
            self._gate.resolve_thread(self.ci.project_id, self._request.iid, thread, resolved=resolved)
        return Shown(thread.id, digest(body), closed=resolved)

    def _reopened(self, thread: Thread, body: str) -> str:
        """Say why it is open again, where that is not because of other rules."""
        if _says(thread) != body.strip():
            return body
        bot, broken = self.ci.gitlab.bot_id(self.ci.project_id), overrides.broken(self._report)
        unexplained = threads.override_of(thread, bot_id=bot, rules=broken) is None
        return f"{body.strip()}{_AFTER}{_NO_REASON if unexplained else _NOT_ALLOWED}*\n"

    def keep(self, tx: Transaction, shown: Shown) -> None:
        if shown.id is None:
            publications.forget_thread(tx, self._request.iid)
            return
        publications.keep_thread(
            tx,
            self._request.iid,
            discussion_id=shown.id,
            note_id=self._note_id,
            sha256=shown.sha256,
            resolved=shown.closed,
        )


def observe(ci: Ci, report: Report) -> bool:
    """Look whether a person has resolved the thread that says what is broken, and keep it where that is an override.
    One call where the gate fails. Returns whether the thread was resolved.
    """
    request = report.merge_request
    if request is None or report.waiting or not overrides.broken(report):
        return False
    with ci.project.read() as tx:
        known = publications.thread(tx, request.iid)
    if known is None or known.resolved:
        return False
    thread = GateObjects(ci.gitlab).thread(ci.project_id, request.iid, known.discussion_id)
    if thread is None or not thread.resolved:
        return False
    if report.override is None:
        _keep_override(ci, report, request.iid, thread)
    return True


def touched(ci: Ci, opened: Collection[int]) -> set[int]:
    """List the open merge requests whose blocking thread a person has resolved or deleted. A call for each thread."""
    with ci.project.read() as tx:
        known = publications.open_threads(tx)
    gate, found = GateObjects(ci.gitlab), set()
    for iid in known.keys() & set(opened):
        thread = gate.thread(ci.project_id, iid, known[iid])
        if thread is None or thread.resolved:
            found.add(iid)
    return found


def _keep_override(ci: Ci, report: Report, iid: int, thread: Thread) -> None:
    # What the person has read and accepted is what the thread says, which is what we wrote last.
    if _says(thread) != _body(report).strip():
        return
    rules = overrides.broken(report)
    override = threads.override_of(thread, bot_id=ci.gitlab.bot_id(ci.project_id), rules=rules)
    if override is None or not _may_override(ci, iid, thread.resolved_by_id):
        return
    _log.warning(
        "the gate of !%s of project %s, pipeline %s, was overridden by %r",
        iid,
        ci.project_id,
        report.pipeline.id,
        override.user_name,
    )
    with ci.project.write() as tx:
        override_store.keep(tx, iid, report.pipeline.id, override)


def _may_override(ci: Ci, iid: int, user_id: int | None) -> bool:
    """Authors can't unless they are Maintainers: GitLab lets all authors resolve threads of their merge requests."""
    if user_id is None:
        return False
    level = ci.gitlab.member_level(ci.project_id, user_id) or 0
    author = ci.gitlab.merge_request(ci.project_id, iid).author_id
    return level >= Role.MAINTAINER or (level >= Role.DEVELOPER and user_id != author)


def _says(thread: Thread) -> str:
    """Return the thread's first note without what was added when it was opened again."""
    return thread.body.strip().partition(_AFTER)[0].strip()


def _body(report: Report) -> str:
    lines = [
        Markdown(f"- {code(model.name)}: {code(one.metric)}: {one.explained}")
        for model in report.gate.models
        for one in model.rulings
        if one.outcome is Outcome.FAIL
    ]
    lines += [
        Markdown(f"- {code(model.name)}: {model.silence.sentence}")
        for model in report.gate.models
        if model.silence is not None and model.silence.outcome is Outcome.FAIL
    ]
    if not lines:
        unread = f"- {code(FILE_NAME)} on {code(report.target)} can't be read"
        lines = [Markdown(f"{unread}, line {one.line}: {code(one.sentence)}") for one in report.gate.contract.problems]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [Markdown(f"- and {len(lines) - _MOST_LINES} more")]
    listed = "\n".join(lines or [f"- {report.gate.sentence}"])
    return f"{_MARKER}\n**The gate fails** for this merge request's models:\n\n{listed}\n\n{_HOW}\n"
