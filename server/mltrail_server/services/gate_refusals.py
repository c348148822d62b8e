"""Keep why GitLab did not take a thread, a status or an issue, for people who look for it; forget it once it does."""

from collections.abc import Iterator
from contextlib import contextmanager

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import gate_refusals

from .deps import Deps

_WORK = {
    gate_refusals.ISSUE: bot.Task.ISSUE,
    gate_refusals.THREAD: bot.Task.THREAD,
    gate_refusals.STATUS: bot.Task.STATUS,
}


@contextmanager
def kept(deps: Deps, gitlab: GitLab, project_id: ProjectId, face: str, subject: str) -> Iterator[None]:
    """Show something in GitLab while the block runs. Raises what the block raises, after noting why."""
    try:
        yield
    except MltrailError as error:
        told = _told(gitlab, project_id, face, error)
        with deps.db.write() as connection:
            gate_refusals.keep(connection, project_id, face, subject, told=told, now=deps.clock())
        raise
    with deps.db.read() as connection:
        found = (
            gate_refusals.of_issues(connection, project_id)
            if face == gate_refusals.ISSUE
            else gate_refusals.of_request(connection, project_id, int(subject))
        )
    if any((one.face, one.subject) == (face, subject) for one in found):
        with deps.db.write() as connection:
            gate_refusals.forget(connection, project_id, face, subject)


def _told(gitlab: GitLab, project_id: ProjectId, face: str, error: MltrailError) -> str:
    if error.code is not Code.FORBIDDEN:
        return error.message
    try:
        project = gitlab.project(project_id)
        if project.archived:
            return "The project is archived, so GitLab accepts nothing there."
        return bot.problem(gitlab.bot_level(project_id), project.path, [_WORK[face]]) or error.message
    except MltrailError:
        return error.message
