"""Who is asking: from a token to an `Actor` in one project."""

import hashlib
import hmac
import re

from mltrail_server.domain.errors import Code, MltrailError, forbidden, not_found, unauthenticated, unavailable
from mltrail_server.domain.identity import Access, Actor, TokenKind, VerifiedClaims, access_of
from mltrail_server.domain.ids import ProjectId

from . import projects
from .admissions import Admissions
from .deps import Deps

_JOB_TOKEN_PREFIX = "glcbt-"  # noqa: S105 - a prefix, not a secret

# A number, or a path of at least two parts. Whatever else stands in a URL must not get into one of GitLab's.
_PROJECT = re.compile(r"[1-9][0-9]{0,17}|(?!\.{1,2}/)[\w.-]+(?:/(?!\.{1,2}(?:/|$))[\w.-]+)+", re.ASCII)


def admit(deps: Deps, token: str, project: str) -> Actor:
    """Let the bearer of `token` in to `project` (number or path), or raise.

    What was found is remembered for a minute, by the token's hash. While GitLab does not answer, a remembered access
    token is good for five minutes more; ID tokens need no GitLab at all.

    Raises UNAUTHENTICATED for a token that proves nobody, NOT_FOUND for a project that does not exist or that the
    bearer may not see: the two look the same from outside.
    """
    remembered = deps.admissions
    key = Admissions.key(token, project)
    now = deps.clock()
    actor = remembered.fresh(key, now)
    if actor is not None:
        return actor
    try:
        actor = _local(deps, token, project) if deps.settings.local_mode else _gitlab(deps, token, project)
    except MltrailError as error:
        stale = remembered.stale(key, now) if error.code is Code.UNAVAILABLE else None
        if stale is None:
            remembered.forget(key)
            raise
        return stale
    projects.ensure(deps, actor)
    remembered.keep(key, actor, now)
    return actor


def _local(deps: Deps, token: str, project: str) -> Actor:
    if not _same(token, deps.settings.local_token):
        raise unauthenticated(
            "This is not the token of this server. In local mode `mltrail-server serve` prints the right one at its "
            "start; set MLFLOW_TRACKING_TOKEN to it."
        )
    if not (project.isascii() and project.isdigit()) or not 0 < int(project) < 2**63:
        raise not_found(f"No project '{project}'. In local mode a project is a number of your choice, for example 1.")
    number = ProjectId(int(project))
    return Actor(TokenKind.LOCAL, number, project, "local", Access.WRITE)


def _gitlab(deps: Deps, token: str, project: str) -> Actor:
    if token.count(".") == 2 and token.startswith("eyJ"):
        return _job(deps, token, project)
    if token.startswith(_JOB_TOKEN_PREFIX):
        raise unauthenticated(
            "CI_JOB_TOKEN is not taken here yet. Let the job ask for an ID token: `id_tokens: {MLFLOW_TRACKING_TOKEN: "
            f"{{aud: {deps.settings.external_url}}}}}` in .gitlab-ci.yml."
        )
    if deps.access_tokens is None:
        raise unavailable("This server has no connection to a GitLab.")
    if not _PROJECT.fullmatch(project):
        raise _no_project(project)
    try:
        found = deps.access_tokens.membership(token, project)
    except MltrailError as error:
        if error.code is Code.NOT_FOUND:
            raise _no_project(project) from error
        raise
    if found.access is None:
        raise _no_project(project)
    return Actor(
        TokenKind.ACCESS_TOKEN,
        found.project_id,
        found.project_path,
        found.user_name,
        found.access,
        user_id=found.user_id,
    )


def _job(deps: Deps, token: str, project: str) -> Actor:
    if deps.id_tokens is None:
        raise unavailable("This server has no connection to a GitLab.")
    claims = deps.id_tokens.verify(token)
    # GitLab finds a path in any case of its letters.
    if project != str(claims.job_project_id) and project.lower() != claims.job_project_path.lower():
        raise not_found(
            f"Project '{project}' not found, or not for this token: the job runs in {claims.job_project_path} "
            f"({claims.job_project_id}). Check the project in MLFLOW_TRACKING_URI."
        )
    access = _access_of_job(claims)
    return Actor(
        TokenKind.ID_TOKEN, claims.job_project_id, claims.job_project_path, claims.user_login, access, job=claims
    )


def _access_of_job(claims: VerifiedClaims) -> Access:
    """Tell what a job may do. In a fork's pipeline the user's role is that in the fork, so it counts for nothing."""
    if claims.from_fork:
        return Access.READ
    access = access_of(claims.user_role)
    if access is None:
        raise forbidden(
            f"{claims.user_login}, who started this job, has no role in {claims.job_project_path}. "
            "Have a member of the project start it."
        )
    return access


def _no_project(project: str) -> MltrailError:
    return not_found(
        f"Project '{project}' not found, or not for this token. Check the project in MLFLOW_TRACKING_URI, and that the "
        "token's owner is a member of it."
    )


def _same(one: str, other: str) -> bool:
    """Compare in constant time, also for texts that are not ASCII."""
    return hmac.compare_digest(hashlib.sha256(one.encode()).digest(), hashlib.sha256(other.encode()).digest())
