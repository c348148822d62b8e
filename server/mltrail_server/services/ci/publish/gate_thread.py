"""The thread that blocks a merge request while the gate fails: GitLab's own "all threads must be resolved", which every
tier has. It is opened and reopened by broken rules, resolved by itself when none is broken, and a person's resolving
with a reply counts as an override, which is kept.
"""

import hashlib
import logging
from collections.abc import Set as AbstractSet

from mltrail_contract import FILE_NAME, Outcome, Problem
from mltrail_server.domain import threads
from mltrail_server.domain.identity import Role
from mltrail_server.domain.markdown import Markdown, code
from mltrail_server.domain.threads import Thread
from mltrail_server.gitlab.gate_objects import GateObjects
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import overrides
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci import gate
from mltrail_server.store.ci.gate import KnownThread
from mltrail_server.store.review import red_verdicts

from .notes import Turn

_MARKER = "<!-- mltrail v1 gate -->"
_HOW = (
    "This thread blocks the merge where the project wants all threads resolved. It resolves itself when the gate "
    "passes. To merge all the same, reply with the reason and resolve it: both are kept."
)
_UNSAID = "It was resolved without a reply, so it is open again: please say why."
_MOST_LINES = 50
"""GitLab refuses a body of more than a million characters, and a thread that is not there blocks nothing."""
_OWN = (
    "It was resolved by somebody who is not allowed to accept this, so it is open again: a Maintainer may, or a "
    "Developer who is not the merge request's author."
)
_AFTER = "\n\n*"
_log = logging.getLogger(__name__)


def show(ci: Ci, report: Report) -> bool:
    """Make the thread of a report's merge request say what the gate says. False when another process is at it."""
    request = report.merge_request
    if request is None or report.waiting or (request.note_pipeline_id or 0) > report.pipeline.id:
        return True
    broken = overrides.broken(report)
    with ci.project.read() as tx:
        known = gate.thread(tx, request.iid)
        red = any(one.stands for one in red_verdicts.of(tx, request.iid))
    if not broken and (known is None or known.resolved):
        return True
    if not broken and (red or not report.is_of_head):
        # Only a run that passes resolves the thread, or a person: not that a model is not touched any more, that the
        # merge request has another target, or what an older commit has made.
        return True
    turn = Turn(ci, request.iid)
    if not turn.take():
        return False
    try:
        _show(turn, report, known, broken)
    finally:
        turn.end()
    return True


def touched(ci: Ci, opened: AbstractSet[int]) -> set[int]:
    """List the open merge requests whose blocking thread a person has resolved or deleted. A call for each thread."""
    with ci.project.read() as tx:
        threads_of = {
            iid: known for iid in gate.open_threads(tx) if iid in opened and (known := gate.thread(tx, iid)) is not None
        }
    faces, found = GateObjects(ci.gitlab), set()
    for iid, known in threads_of.items():
        thread = faces.thread(ci.project_id, iid, known.discussion_id)
        if thread is None or thread.resolved:
            found.add(iid)
    return found


def _show(turn: Turn, report: Report, known: KnownThread | None, broken: frozenset[str]) -> None:
    faces = GateObjects(turn.ci.gitlab)
    thread = _find(turn, faces, known)
    if not broken:
        if thread is not None:
            _say(turn, faces, thread, f"{_MARKER}\n**The gate passes** now.")
            if not thread.resolved:
                faces.resolve_thread(turn.ci.project_id, turn.iid, thread, resolved=True)
            _keep(turn, thread, f"{_MARKER}\n**The gate passes** now.", resolved=True)
        return
    body = _body(report)
    if thread is None:
        turn.keep()
        made = faces.create_thread(turn.ci.project_id, turn.iid, body)
        _keep(turn, made, body, resolved=False)
        return
    if thread.resolved and _let_pass(turn.ci, report, thread, known):
        _keep(turn, thread, thread.body, resolved=True)
        return
    if thread.resolved and _as_told(thread.body) == body.strip():
        bot = turn.ci.gitlab.bot_id(turn.ci.project_id)
        why = _UNSAID if threads.override_of(thread, bot_id=bot, rules=broken) is None else _OWN
        body = f"{body.strip()}{_AFTER}{why}*\n"
    _say(turn, faces, thread, body)
    if thread.resolved:
        faces.resolve_thread(turn.ci.project_id, turn.iid, thread, resolved=False)
    _keep(turn, thread, body, resolved=False)


def observe(ci: Ci, report: Report) -> bool:
    """Look whether a person has just let pass what a report says is broken, and note it. One call where it fails."""
    request = report.merge_request
    if request is None or report.waiting or not overrides.broken(report):
        return False
    with ci.project.read() as tx:
        known = gate.thread(tx, request.iid)
    if known is None or known.resolved:
        return False
    thread = GateObjects(ci.gitlab).thread(ci.project_id, request.iid, known.discussion_id)
    return thread is not None and thread.resolved and _let_pass(ci, report, thread, known)


def _let_pass(ci: Ci, report: Report, thread: Thread, known: KnownThread | None) -> bool:
    """Tell whether a person has let just these rules pass, and note it the first time."""
    with ci.project.read() as tx:
        before = overrides.of(tx, report)
    if before is not None:
        return True
    if report.merge_request is None or known is None or known.resolved:
        return False
    # What the person has read and let pass is what stands in the thread, which is what we told last.
    if _as_told(thread.body) != _body(report).strip():
        return False
    iid = report.merge_request.iid
    override = threads.override_of(thread, bot_id=ci.gitlab.bot_id(ci.project_id), rules=overrides.broken(report))
    if override is None or not _may_let_pass(ci, iid, thread.resolved_by_id):
        return False
    _log.warning(
        "the gate of !%s of project %s, pipeline %s, was overridden by %r",
        iid,
        ci.project_id,
        report.pipeline.id,
        override.user_name,
    )
    with ci.project.write() as tx:
        gate.keep_override(tx, iid, report.pipeline.id, override)
    return True


def _may_let_pass(ci: Ci, iid: int, user_id: int | None) -> bool:
    """Tell whether somebody may override: GitLab lets every author resolve threads of the own merge request."""
    if user_id is None:
        return False
    level = ci.gitlab.member_level(ci.project_id, user_id) or 0
    author = ci.gitlab.merge_request(ci.project_id, iid).author_id
    return level >= Role.MAINTAINER or (level >= Role.DEVELOPER and user_id != author)


def _as_told(body: str) -> str:
    """The thread's first note without what was added when it was opened again."""
    return body.strip().partition(_AFTER)[0].strip()


def _find(turn: Turn, faces: GateObjects, known: KnownThread | None) -> Thread | None:
    """Find our thread, by its number, or else by its marker and author: the database may have been lost."""
    if known is not None:
        found = faces.thread(turn.ci.project_id, turn.iid, known.discussion_id)
        if found is not None:
            return found
    bot = turn.ci.gitlab.bot_id(turn.ci.project_id)
    ours = (
        one
        for one in faces.threads(turn.ci.project_id, turn.iid)
        if one.author_id == bot and one.body.startswith(_MARKER)
    )
    return next(ours, None)


def _say(turn: Turn, faces: GateObjects, thread: Thread, body: str) -> None:
    if thread.body.strip() != body.strip():
        faces.edit_thread(turn.ci.project_id, turn.iid, thread, body)


def _keep(turn: Turn, thread: Thread, body: str, *, resolved: bool) -> None:
    with turn.ci.project.write() as tx:
        gate.keep_thread(
            tx,
            turn.iid,
            discussion_id=thread.id,
            note_id=thread.note_id,
            sha256=hashlib.sha256(body.encode()).hexdigest(),
            resolved=resolved,
            seen_ms=tx.now,
        )


def _body(report: Report) -> str:
    lines = [
        Markdown(f"- {code(model.name)}: {code(one.metric)} {one.expects}; {one.full_sentence}")
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
        lines = [
            Markdown(
                f"- {code(FILE_NAME)} on {code(report.target)} can't be read, line {one.line}: {code(_problem(one))}"
            )
            for one in report.gate.contract.problems
        ]
    if len(lines) > _MOST_LINES:
        lines[_MOST_LINES:] = [Markdown(f"- and {len(lines) - _MOST_LINES} more")]
    told = "\n".join(lines or [f"- {report.gate.sentence}"])
    return f"{_MARKER}\n**The gate fails** for this merge request's models:\n\n{told}\n\n{_HOW}\n"


def _problem(one: Problem) -> str:
    return f"{one.key}: {one.message}" if one.key else one.message
