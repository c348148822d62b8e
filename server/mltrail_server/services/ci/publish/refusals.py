"""Keep why GitLab did not take a thread, a status or an issue, for people who look for it; forget it once it does.

Why GitLab did not take what we wanted to post, in words for people, and how long to wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import refusals

_SOON_MS, _SOON_AT_MOST_MS = 10_000, 15 * 60_000
_LATE_MS, _LATE_AT_MOST_MS = 10 * 60_000, 6 * 60 * 60_000


@dataclass(frozen=True, slots=True)
class Refusal:
    told: str
    wait_ms: int


def of(gitlab: GitLab, project_id: ProjectId, iid: int, error: MltrailError, *, failures: int) -> Refusal:
    """Explain a failed attempt to post on merge request `iid`; `failures` have gone before it.

    What passes by itself (GitLab away, too many calls) is tried again soon, what a person has to change seldom.
    """
    wait = wait_ms(error, failures=failures)
    if error.code is not Code.FORBIDDEN:
        return Refusal(error.message, wait)
    try:
        return Refusal(_why(gitlab, project_id, iid) or error.message, wait)
    except MltrailError:
        return Refusal(error.message, wait)


def wait_ms(error: MltrailError, *, failures: int) -> int:
    """Tell how long to wait after a failed attempt: twice as long each time, and never less than GitLab asks for."""
    passes = error.code in (Code.UNAVAILABLE, Code.LIMIT)
    first, most = (_SOON_MS, _SOON_AT_MOST_MS) if passes else (_LATE_MS, _LATE_AT_MOST_MS)
    return max(min(first << min(failures, 16), most), 1000 * (error.retry_after or 0))


def _why(gitlab: GitLab, project_id: ProjectId, iid: int) -> str | None:
    project = gitlab.project(project_id)
    if project.archived:
        return "The project is archived, and GitLab takes no notes there."
    request = gitlab.merge_request(project_id, iid)
    if told := bot.problem(gitlab.bot_level(project_id), project.path, [bot.Task.NOTE]):
        return f"The merge request's discussion is locked: only members may write. {told}" if request.locked else told
    if request.locked:
        return "The merge request's discussion is locked, and GitLab takes no note of mltrail's bot there."
    return None


_WORK = {
    refusals.ISSUE: bot.Task.ISSUE,
    refusals.THREAD: bot.Task.THREAD,
    refusals.STATUS: bot.Task.STATUS,
}


@contextmanager
def kept(deps: Deps, gitlab: GitLab, project_id: ProjectId, face: str, subject: str) -> Iterator[None]:
    """Show something in GitLab while the block runs. Raises what the block raises, after noting why."""
    try:
        yield
    except MltrailError as error:
        told = _told(gitlab, project_id, face, error)
        with deps.db.write() as connection:
            refusals.keep(connection, project_id, face, subject, told=told, now=deps.clock())
        raise
    with deps.db.read() as connection:
        found = (
            refusals.of_issues(connection, project_id)
            if face == refusals.ISSUE
            else refusals.of_request(connection, project_id, int(subject))
        )
    if any((one.face, one.subject) == (face, subject) for one in found):
        with deps.db.write() as connection:
            refusals.forget(connection, project_id, face, subject)


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
