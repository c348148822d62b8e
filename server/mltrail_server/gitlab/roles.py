"""Which role does a person have in a project? GitLab has several sources for this, none of them complete.

https://docs.gitlab.com/api/projects/ and https://docs.gitlab.com/api/members/
"""

from datetime import date
from typing import TYPE_CHECKING, Any

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Role, role_of

from . import responses
from .connections import NO_WAITING
from .errors import translating_errors

if TYPE_CHECKING:
    import gitlab


def role_in(session: "gitlab.Gitlab", project: dict[str, Any], user: dict[str, Any], *, today: date) -> Role:
    """Find the role of the session's own user in a project that GitLab shows to that user.

    The project's `permissions` include neither invited groups nor administrators, and an older GitLab's list of members
    does not include invited groups either. So a role below Developer is believed only after the other sources were
    tried too: one more call for members through an invited group, up to three for readers.
    """
    if user.get("is_admin") is True:
        return Role.OWNER
    permissions = project.get("permissions") or {}
    given = [(permissions.get(name) or {}).get("access_level") for name in ("project_access", "group_access")]
    levels = [level for level in given if isinstance(level, int)]
    if max(levels, default=0) < Role.DEVELOPER:
        levels.append(_as_member(session, project["id"], user["id"], today))
    for level in (Role.DEVELOPER, Role.GUEST):
        if max(levels, default=0) < level and _counted(session, project["id"], level):
            levels.append(level)
    return role_of(max(levels, default=0))


def shows_to_everybody(project: dict[str, Any]) -> bool:
    """Whether GitLab shows experiments, models and jobs of a visible project to people without a role in it."""
    everybody = (
        project.get(name) == "enabled"
        for name in ("model_experiments_access_level", "model_registry_access_level", "builds_access_level")
    )
    public_jobs = project.get("public_jobs", project.get("public_builds"))
    return project.get("visibility") in ("public", "internal") and all(everybody) and public_jobs is True


def read_only_reason(project: dict[str, Any]) -> str:
    """Say why nobody can write to a project at present; empty if the role decides."""
    if project.get("archived") is True:
        return "The project is archived, so it can only be read. An owner can unarchive it in GitLab."
    if project.get("marked_for_deletion_on") or project.get("marked_for_deletion_at"):
        return "The project is about to be deleted, so it can only be read. An owner can restore it in GitLab."
    return ""


def _as_member(session: "gitlab.Gitlab", project_id: int, user_id: int, today: date) -> int:
    try:
        member = responses.get(session, f"/projects/{project_id}/members/all/{user_id}", "member")
    except MltrailError as error:
        if error.code in (Code.NOT_FOUND, Code.FORBIDDEN):
            return 0
        raise
    ends = member.get("expires_at")
    # GitLab removes expired members only once a day.
    if member.get("state", "active") != "active" or (isinstance(ends, str) and ends[:10] <= today.isoformat()):
        return 0
    level = member.get("access_level")
    return level if isinstance(level, int) else 0


def _counted(session: "gitlab.Gitlab", project_id: int, level: int) -> bool:
    """Whether GitLab lists the project among those in which the user has at least this level, however obtained."""
    with translating_errors("projects"):
        found = session.http_get(
            "/projects",
            id_after=project_id - 1,
            id_before=project_id + 1,
            min_access_level=level,
            simple="true",
            **NO_WAITING,
        )
    listed: object = found
    return isinstance(listed, list) and any(one.get("id") == project_id for one in listed)
