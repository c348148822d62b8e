"""Who is asking: from a token to an `Actor` in one project."""

import hmac
import re
from dataclasses import replace

from mltrail_server.domain import detachment, tokens
from mltrail_server.domain.errors import Code, MltrailError, forbidden, not_found, unauthenticated
from mltrail_server.domain.identity import Access, Actor, TokenKind, VerifiedClaims, access_of
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.admissions import Admissions
from mltrail_server.services.context.deps import Deps, TeamMode
from mltrail_server.services.context.job_states import JobBook

from . import projects

# A number, or a path of at least two parts. Nothing else may get from our URLs into GitLab's.
_PROJECT = re.compile(r"[1-9][0-9]{0,17}|(?!\.{1,2}/)[\w.-]+(?:/(?!\.{1,2}(?:/|$))[\w.-]+)+", re.ASCII)


def admit(deps: Deps, token: str, project: str) -> Actor:
    """Let the bearer of `token` in to `project` (number or path), or raise.

    The result is remembered for a minute, by the token's hash, and for five minutes more while GitLab does not answer.
    ID tokens are verified without GitLab, except for its keys.

    Raises UNAUTHENTICATED for a token that proves nobody, NOT_FOUND for a project that does not exist or that the
    bearer may not see: the two look the same from outside. Raises FORBIDDEN for a group that is not allowed here.
    """
    team = deps.team
    if team is None:
        actor = _local_actor(deps, token, project)
        projects.ensure(deps, actor)
        return actor
    key = Admissions.key(token, project)
    now = deps.clock()
    known = team.admissions.fresh(key, now)
    if known is not None:
        return known
    try:
        actor = _gitlab_actor(deps, team, token, project)
    except MltrailError as error:
        stale = team.admissions.stale(key, now) if error.code is Code.UNAVAILABLE else None
        if stale is None:
            # While GitLab does not answer, nothing is forgotten: it may fail twice within those minutes.
            if error.code is not Code.UNAVAILABLE:
                team.admissions.forget(key)
            raise
        return stale
    projects.ensure(deps, actor)
    team.admissions.keep(key, actor, now)
    return actor


def about_to_write(deps: Deps, actor: Actor) -> Actor:
    """Check that the job that is about to write still runs. Raises FORBIDDEN when it has ended."""
    if deps.team is None or not deps.settings.refuses_finished_jobs:
        return actor
    return deps.team.job_states.checked(deps.team.gitlab, JobBook(deps.db, deps.clock), actor, deps.clock())


def check_local(deps: Deps, token: str) -> None:
    """Raise UNAUTHENTICATED for every token other than that of local mode."""
    if not _equal(token, deps.settings.local_token):
        raise unauthenticated(Reason.LOCAL_MODE_REFUSED)


def _local_actor(deps: Deps, token: str, project: str) -> Actor:
    check_local(deps, token)
    if not (project.isascii() and project.isdigit()) or not 0 < int(project) < 2**63:
        raise not_found(f"No project '{project}'. In local mode a project is a number of your choice, for example 1.")
    number = ProjectId(int(project))
    return Actor(TokenKind.LOCAL, number, project, "local", Access.WRITE)


def _gitlab_actor(deps: Deps, team: TeamMode, token: str, project: str) -> Actor:
    tokens.check_form(token)
    if not _PROJECT.fullmatch(project):
        raise _no_project(project)
    if not project.isdigit():
        projects.check_allowed(deps.settings.namespaces, project)
    if tokens.is_job_token(token):
        actor = _by_job_token(team, token, project)
    elif tokens.is_detached(token):
        actor = _by_detached_token(deps, token, project)
    elif tokens.is_jwt(token):
        actor = _by_id_token(team, token, project)
    else:
        actor = _by_access_token(team, token, project)
    projects.check_allowed(deps.settings.namespaces, actor.project_path)
    return actor


def _by_id_token(team: TeamMode, token: str, project: str) -> Actor:
    return _actor_of_job(TokenKind.ID_TOKEN, team.id_tokens.verify(token, project), project)


def _by_job_token(team: TeamMode, token: str, project: str) -> Actor:
    with team.lookup_limit.hold():
        claims = team.job_tokens.verify(token)
    return _actor_of_job(TokenKind.JOB_TOKEN, claims, project)


def _by_detached_token(deps: Deps, token: str, project: str) -> Actor:
    claims, candidate_iid = detachment.read(token, secret=deps.settings.secret_key, now=deps.clock())
    actor = _actor_of_job(TokenKind.DETACHED, claims, project)
    return replace(actor, candidate_iid=candidate_iid)


def _by_access_token(team: TeamMode, token: str, project: str) -> Actor:
    try:
        with team.lookup_limit.hold():
            member = team.access_tokens.membership(token, project)
    except MltrailError as error:
        if error.code is Code.NOT_FOUND:
            raise _no_project(project) from error
        raise
    if member.access is None:
        raise _no_project(project)
    return Actor(
        TokenKind.OAUTH if member.oauth else TokenKind.ACCESS_TOKEN,
        member.project_id,
        member.project_path,
        member.user_name,
        member.access,
        user_id=member.user_id,
        limit=member.limit,
        role=member.role,
    )


def _actor_of_job(kind: TokenKind, claims: VerifiedClaims, project: str) -> Actor:
    """Let a job in to `project` (number or path), which must be the project that it runs in.

    Raises NOT_FOUND for every other project, FORBIDDEN when its user has no role.
    """
    # GitLab finds a path in any case of its letters.
    if project != str(claims.job_project_id) and project.lower() != claims.job_project_path.lower():
        raise not_found(
            f"Project '{project}' not found, or not for this token: the job runs in {claims.job_project_path} "
            f"({claims.job_project_id}). Check the project in MLFLOW_TRACKING_URI."
        )
    access, limit = _access_of_job(claims)
    return Actor(
        kind,
        claims.job_project_id,
        claims.job_project_path,
        claims.user_login,
        access,
        job=claims,
        limit=limit,
    )


def _access_of_job(claims: VerifiedClaims) -> tuple[Access, str]:
    """Return what a job may do, and why it may not do more. In a fork's pipeline the claims hold the user's role in the
    fork, so it does not count.
    """
    if claims.source_project_id == 0:
        return Access.READ, (
            "This job may be a fork's, and whose code it runs can't be learnt from GitLab: the operator gives "
            "mltrail's bot the Reporter role in this project, or updates GitLab to 18.4."
        )
    if claims.from_fork:
        return Access.READ, (
            "This job runs a fork's code, which may read here and not log. To have its runs here, a member who has "
            "read the code pushes it as a branch of this project; a pipeline in the fork logs to the fork."
        )
    access = access_of(claims.user_role)
    if access is None:
        raise forbidden(
            f"{claims.user_login}, who started this job, has no role in {claims.job_project_path} (an administrator "
            "needs one, too). Have a member of the project start it."
        )
    role = claims.user_role.name.replace("_", " ").title()
    limit = f"The role {role} of who started this job may read only: have a Developer start it."
    return access, "" if access is Access.WRITE else limit


def _no_project(project: str) -> MltrailError:
    return not_found(Reason.NO_PROJECT, project=project)


def _equal(text: str, other: str) -> bool:
    """Compare in constant time, texts that are not ASCII too."""
    return hmac.compare_digest(text.encode(), other.encode())
