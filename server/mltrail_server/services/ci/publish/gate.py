"""Where the contract wants the gate to be seen beside the note: a thread that blocks the merge, a commit status."""

import logging

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review.reports import Report
from mltrail_server.store.ci.refusals import STATUS, THREAD

from . import commit_status, gate_thread, refusals

_log = logging.getLogger(__name__)


def show(ci: Ci, report: Report, *, path: str, status: bool = True) -> bool:
    """Show the gate where the binding contract asks for it; `status` tells whether the pipeline's status is this one's.
    False when another process is at it, so that one has to come again. Raises what GitLab's refusal means.
    """
    # A file that can't be read must not close the gate's eyes: then the last one that could be read says where to show.
    contract = report.gate.contract.known
    if contract is None:
        return True
    done, refused = True, None
    request = report.merge_request
    # The thread comes first: a person's override there decides what the status says. That the one can't be shown keeps
    # nobody from seeing the other.
    if contract.gate.thread and request is not None:
        try:
            with refusals.kept(ci, THREAD, str(request.iid)):
                done = gate_thread.show(ci, report)
        except MltrailError as error:
            refused = error
    if status and contract.gate.status and request is not None:
        with refusals.kept(ci, STATUS, str(request.iid)):
            commit_status.show(ci, report, path=path)
    elif status and contract.gate.status:
        _show_of_branch(ci, report, path=path)
    if refused is not None:
        raise refused
    return done


def _show_of_branch(ci: Ci, report: Report, *, path: str) -> None:
    """Set the status of a branch's pipeline. A protected branch takes none of a Developer, and trying again changes
    nothing: merge requests have theirs.
    """
    try:
        commit_status.show(ci, report, path=path)
    except MltrailError as error:
        if error.code is not Code.FORBIDDEN:
            raise
        told = bot.problem(ci.gitlab.bot_level(ci.project_id), path, [bot.Task.STATUS_OF_PROTECTED]) or error.message
        _log.warning("pipeline %s of project %s has no status: %s", report.pipeline.id, ci.project_id, told)
