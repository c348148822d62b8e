"""Why GitLab did not take what we wanted to post, in words for people, and how long to wait."""

from dataclasses import dataclass

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab

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
