"""Who is asking: from a token to an `Actor` in one project."""

import hmac
import re
from dataclasses import replace

from mltrail_server.domain import detachment, tokens
from mltrail_server.domain.errors import Code, MltrailError, not_found, unauthenticated
from mltrail_server.domain.identity import Access, Actor, TokenKind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.admissions import Admissions
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.context.team import TeamMode

from . import jobs, projects
from .jobs import JobBook

# A number, or a path of at least two parts. Whatever else stands in a URL must not get into one of GitLab's.
_PROJECT = re.compile(r"[1-9][0-9]{0,17}|(?!\.{1,2}/)[\w.-]+(?:/(?!\.{1,2}(?:/|$))[\w.-]+)+", re.ASCII)


def admit(deps: Deps, token: str, project: str) -> Actor:
    """Let the bearer of `token` in to `project` (number or path), or raise.

    What was found is remembered for a minute, by the token's hash. While GitLab does not answer, what was remembered is
    good for five minutes more; ID tokens need no GitLab at all.

    Raises UNAUTHENTICATED for a token that proves nobody, NOT_FOUND for a project that does not exist or that the
    bearer may not see: the two look the same from outside. FORBIDDEN for a namespace that this server does not take.
    """
    team = deps.team
    if team is None:
        actor = _local(deps, token, project)
        projects.ensure(deps, actor)
        return actor
    remembered = team.admissions
    key = Admissions.key(token, project)
    now = deps.clock()
    known = remembered.fresh(key, now)
    if known is not None:
        return known
    try:
        actor = _gitlab(deps, team, token, project)
    except MltrailError as error:
        stale = remembered.stale(key, now) if error.code is Code.UNAVAILABLE else None
        if stale is None:
            # Who could not be judged is not forgotten: GitLab may stumble twice within those minutes.
            if error.code is not Code.UNAVAILABLE:
                remembered.forget(key)
            raise
        return stale
    projects.ensure(deps, actor)
    remembered.keep(key, actor, now)
    return actor


def about_to_write(deps: Deps, actor: Actor) -> Actor:
    """Look whether the job that is about to write still runs. Raises FORBIDDEN when it is over."""
    if deps.team is None or not deps.settings.refuses_finished_jobs:
        return actor
    return deps.team.job_states.checked(deps.team.gitlab, JobBook(deps.db, deps.clock), actor, deps.clock())


def check_local(deps: Deps, token: str) -> None:
    """Raise UNAUTHENTICATED for every token but that of local mode."""
    if not _same(token, deps.settings.local_token):
        raise unauthenticated(
            "This is not the token of this server. In local mode `mltrail-server serve` prints the right one at its "
            "start; set MLFLOW_TRACKING_TOKEN to it."
        )


def _local(deps: Deps, token: str, project: str) -> Actor:
    check_local(deps, token)
    if not (project.isascii() and project.isdigit()) or not 0 < int(project) < 2**63:
        raise not_found(f"No project '{project}'. In local mode a project is a number of your choice, for example 1.")
    number = ProjectId(int(project))
    return Actor(TokenKind.LOCAL, number, project, "local", Access.WRITE)


def _gitlab(deps: Deps, team: TeamMode, token: str, project: str) -> Actor:
    tokens.check_form(token)
    if not _PROJECT.fullmatch(project):
        raise _no_project(project)
    if not project.isdigit():
        projects.check_allowed(deps.settings.namespaces, project)
    if tokens.is_job_token(token):
        actor = _job_token(team, token, project)
    elif tokens.is_detached(token):
        actor = _detached(deps, token, project)
    elif tokens.is_jwt(token):
        actor = _id_token(team, token, project)
    else:
        actor = _access_token(team, token, project)
    projects.check_allowed(deps.settings.namespaces, actor.project_path)
    return actor


def _id_token(team: TeamMode, token: str, project: str) -> Actor:
    return jobs.actor_of(TokenKind.ID_TOKEN, team.id_tokens.verify(token, project), project)


def _job_token(team: TeamMode, token: str, project: str) -> Actor:
    with team.lookups.one():
        claims = team.job_tokens.verify(token)
    return jobs.actor_of(TokenKind.JOB_TOKEN, claims, project)


def _detached(deps: Deps, token: str, project: str) -> Actor:
    claims, candidate_iid = detachment.read(token, secret=deps.settings.secret_key, now=deps.clock())
    actor = jobs.actor_of(TokenKind.DETACHED, claims, project)
    return replace(actor, candidate_iid=candidate_iid)


def _access_token(team: TeamMode, token: str, project: str) -> Actor:
    try:
        with team.lookups.one():
            found = team.access_tokens.membership(token, project)
    except MltrailError as error:
        if error.code is Code.NOT_FOUND:
            raise _no_project(project) from error
        raise
    if found.access is None:
        raise _no_project(project)
    return Actor(
        TokenKind.OAUTH if found.oauth else TokenKind.ACCESS_TOKEN,
        found.project_id,
        found.project_path,
        found.user_name,
        found.access,
        user_id=found.user_id,
        limit=found.limit,
        role=found.role,
    )


def _no_project(project: str) -> MltrailError:
    return not_found(
        f"Project '{project}' not found, or not for this token. Check the project in MLFLOW_TRACKING_URI, and that the "
        "token's owner is a member of it."
    )


def _same(one: str, other: str) -> bool:
    """Compare in constant time, also for texts that are not ASCII."""
    return hmac.compare_digest(one.encode(), other.encode())
