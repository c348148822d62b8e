"""What `mltrail doctor` can't find out inside a job: who the caller is to the server, and whether the bot can work."""

from dataclasses import dataclass
from importlib import metadata

from mltrail_contract import FILE_NAME, GateSettings
from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Access, Role
from mltrail_server.services.context.deps import Ci, Scope
from mltrail_server.services.contract import contracts


@dataclass(frozen=True, slots=True)
class Setup:
    """`job_id` is None for a caller that is no job. `bot_problem` is empty if the bot can read jobs and write comments,
    and None if there is no bot, which is local mode.
    """

    version: str
    user_name: str
    may_write: bool
    limit: str
    job_id: int | None
    bot_problem: str | None


def look(scope: Scope) -> Setup:
    """Return what a caller may know about the set-up. Asks GitLab; if it does not answer, that is the bot's problem."""
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
    if scope.deps.team is None:
        return None
    gitlab, path = scope.deps.team.gitlab, scope.actor.project_path
    try:
        level = gitlab.bot_level(scope.project_id)
        return bot.problem(level, path, _tasks(scope.ci) if level >= Role.REPORTER else bot.ALWAYS)
    except MltrailError as error:
        # GitLab hides a project from a user who is no member.
        return bot.problem(Role.NONE, path) if error.code is Code.NOT_FOUND else error.message


def _tasks(ci: Ci) -> list[bot.Task]:
    """List what the bot has to do in a project, including what the contract on the default branch asks for."""
    branch = ci.gitlab.project(ci.project_id).default_branch
    content = ci.gitlab.raw_file(ci.project_id, FILE_NAME, branch) if branch else None
    contract = contracts.parsed(content.decode(errors="replace")).contract if content else None
    gate = contract.gate if contract else GateSettings()
    optional = ((gate.thread, bot.Task.THREAD), (gate.status, bot.Task.STATUS), (gate.issue, bot.Task.ISSUE))
    return [*bot.ALWAYS, *(task for wanted, task in optional if wanted)]
