"""Keep why GitLab did not take a thread, a status or an issue, for people who look for it; forget it once it does.

Why GitLab did not take what we wanted to post, in words for people, and how long to wait.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import refusals

_SOON_MS, _SOON_AT_MOST_MS = 10_000, 15 * 60_000
_LATE_MS, _LATE_AT_MOST_MS = 10 * 60_000, 6 * 60 * 60_000


@dataclass(frozen=True, slots=True)
class Refusal:
    told: str
    wait_ms: int


def of(ci: Ci, iid: int, error: MltrailError, *, failures: int) -> Refusal:
    """Explain a failed attempt to post on merge request `iid`; `failures` have gone before it.

    What passes by itself (GitLab away, too many calls) is tried again soon, what a person has to change seldom.
    """
    wait = wait_ms(error, failures=failures)
    if error.code is not Code.FORBIDDEN:
        return Refusal(error.message, wait)
    try:
        return Refusal(_why(ci, iid) or error.message, wait)
    except MltrailError:
        return Refusal(error.message, wait)


def wait_ms(error: MltrailError, *, failures: int) -> int:
    """Tell how long to wait after a failed attempt: twice as long each time, and never less than GitLab asks for."""
    passes = error.code in (Code.UNAVAILABLE, Code.LIMIT)
    first, most = (_SOON_MS, _SOON_AT_MOST_MS) if passes else (_LATE_MS, _LATE_AT_MOST_MS)
    return max(min(first << min(failures, 16), most), 1000 * (error.retry_after or 0))


def _why(ci: Ci, iid: int) -> str | None:
    project = ci.gitlab.project(ci.project_id)
    if project.archived:
        return "The project is archived, and GitLab takes no notes there."
    request = ci.gitlab.merge_request(ci.project_id, iid)
    if told := bot.problem(ci.gitlab.bot_level(ci.project_id), project.path, [bot.Task.NOTE]):
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
def kept(ci: Ci, face: str, subject: str) -> Iterator[None]:
    """Show something in GitLab while the block runs. Raises what the block raises, after noting why."""
    try:
        yield
    except MltrailError as error:
        told = _told(ci, face, error)
        with ci.project.write() as tx:
            refusals.keep(tx, face, subject, told=told)
        raise
    with ci.project.read() as tx:
        found = refusals.of_issues(tx) if face == refusals.ISSUE else refusals.of_request(tx, int(subject))
    if any((one.face, one.subject) == (face, subject) for one in found):
        with ci.project.write() as tx:
            refusals.forget(tx, face, subject)


def _told(ci: Ci, face: str, error: MltrailError) -> str:
    if error.code is not Code.FORBIDDEN:
        return error.message
    try:
        project = ci.gitlab.project(ci.project_id)
        if project.archived:
            return "The project is archived, so GitLab accepts nothing there."
        return bot.problem(ci.gitlab.bot_level(ci.project_id), project.path, [_WORK[face]]) or error.message
    except MltrailError:
        return error.message
