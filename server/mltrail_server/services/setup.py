"""What `mltrail doctor` can't see from inside a job: who the server takes it for, and whether the bot can work."""

from dataclasses import dataclass
from importlib import metadata

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Access, Role

from .deps import Scope


@dataclass(frozen=True, slots=True)
class Setup:
    """`job_id` is None for who is no job; `bot_problem` is empty where the bot can read jobs and write comments, and
    None where there is no bot: in local mode.
    """

    version: str
    user_name: str
    may_write: bool
    limit: str
    job_id: int | None
    bot_problem: str | None


def look(scope: Scope) -> Setup:
    """Tell what a caller may know of the set-up. Asks GitLab; one that does not answer is told as the bot's problem."""
    actor = scope.actor
    return Setup(
        metadata.version("mltrail"),
        actor.user_name,
        actor.may(Access.WRITE),
        actor.limit,
        actor.job.job_id if actor.job else None,
        _bot_problem(scope),
    )


def _bot_problem(scope: Scope) -> str | None:
    if scope.deps.gitlab is None:
        return None
    path = scope.actor.project_path
    try:
        level = scope.deps.gitlab.project(scope.project_id).bot_level
    except MltrailError as error:
        if error.code is Code.NOT_FOUND:
            return f"mltrail's bot is not a member of {path}. Invite it with the Reporter role (Manage > Members)."
        return error.message
    if level < Role.REPORTER:
        return f"mltrail's bot has level {level} in {path}. It needs Reporter (20) to read jobs and write comments."
    return ""
