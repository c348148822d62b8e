"""Which role does a person have in a project? GitLab has several answers, and none of them is whole.

https://docs.gitlab.com/api/projects/ and https://docs.gitlab.com/api/members/
"""

from datetime import date
from typing import Any

import gitlab

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.identity import Role, role_of

from . import answers
from .errors import telling
from .session import NO_WAITING


def role_in(session: gitlab.Gitlab, project: dict[str, Any], user: dict[str, Any], *, today: date) -> Role:
    """Find the role of the session's own user in a project that GitLab has shown to that user.

    The project's `permissions` know neither invited groups nor administrators, and the list of members of an older
    GitLab does not know invited groups either. So less than Developer is believed only after GitLab was asked in the
    other ways too: one call more for members by an invited group, up to three for readers.
    """
    if user.get("is_admin") is True:
        return Role.OWNER
    permissions = project.get("permissions") or {}
    told = [(permissions.get(name) or {}).get("access_level") for name in ("project_access", "group_access")]
    levels = [level for level in told if isinstance(level, int)]
    if max(levels, default=0) < Role.DEVELOPER:
        levels.append(_as_member(session, project["id"], user["id"], today))
    for level in (Role.DEVELOPER, Role.GUEST):
        if max(levels, default=0) < level and _counted(session, project["id"], level):
            levels.append(level)
    return role_of(max(levels, default=0))


def shows_to_everybody(project: dict[str, Any]) -> bool:
    """Tell whether GitLab shows experiments, models and jobs of a visible project to people without a role in it."""
    everybody = (
        project.get(name) == "enabled"
        for name in ("model_experiments_access_level", "model_registry_access_level", "builds_access_level")
    )
    public_jobs = project.get("public_jobs", project.get("public_builds"))
    return project.get("visibility") in ("public", "internal") and all(everybody) and public_jobs is True


def read_only_reason(project: dict[str, Any]) -> str:
    """Say why nobody may write to a project now; empty when who has the role may."""
    if project.get("archived") is True:
        return "The project is archived, so it can only be read. An owner can unarchive it in GitLab."
    if project.get("marked_for_deletion_on") or project.get("marked_for_deletion_at"):
        return "The project is about to be deleted, so it can only be read. An owner can restore it in GitLab."
    return ""


def _as_member(session: gitlab.Gitlab, project_id: int, user_id: int, today: date) -> int:
    try:
        member = answers.get(session, f"/projects/{project_id}/members/all/{user_id}", "member")
    except MltrailError as error:
        if error.code in (Code.NOT_FOUND, Code.FORBIDDEN):
            return 0
        raise
    ends = member.get("expires_at")
    # GitLab removes expired members by a job that runs once a day.
    if member.get("state", "active") != "active" or (isinstance(ends, str) and ends[:10] <= today.isoformat()):
        return 0
    level = member.get("access_level")
    return level if isinstance(level, int) else 0


def _counted(session: gitlab.Gitlab, project_id: int, level: int) -> bool:
    """Tell whether GitLab counts the project among those where the user has at least this level, by whatever way."""
    with telling("projects"):
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
