"""`CI_JOB_TOKEN`: GitLab says which job it belongs to, and which roles its user has in the job's project.

https://docs.gitlab.com/api/jobs/#get-job-tokens-job and https://docs.gitlab.com/ci/jobs/ci_job_token/
"""

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from mltrail_server.domain.errors import Code, MltrailError, unauthenticated, unavailable
from mltrail_server.domain.identity import Role, VerifiedClaims
from mltrail_server.domain.ids import ProjectId

from . import fork_rule
from .client import GitLab
from .connections import Connections
from .errors import translating_errors
from .responses import get

_NEVER_MS = 2**62
"""A job token has no expiry time: GitLab refuses it once its job has ended."""

_WEB_URL = re.compile(r"/(?P<path>.+)/-/jobs/\d+")
_JOB = {"id", "pipeline", "user", "web_url", "ref", "tag"}


class JobTokens:
    def __init__(self, sessions: Connections, bot: GitLab) -> None:
        self._sessions = sessions
        self._bot = bot

    def verify(self, token: str) -> VerifiedClaims:
        """Ask GitLab what a job's token proves: two calls with the token, one or two with the bot's.

        Raises UNAUTHENTICATED unless the token belongs to a running job, UNAVAILABLE when GitLab does not respond.
        """
        try:
            with translating_errors("job"), self._sessions.of(token, of_job=True) as session:
                job = get(session, "/job", "job", _JOB)
                agents = get(session, "/job/allowed_agents", "job", {"job", "project", "user"})
        except MltrailError as error:
            if error.code in (Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.FORBIDDEN):
                raise unauthenticated(
                    "GitLab has no running job with this CI_JOB_TOKEN. It is valid only while its job runs; a process "
                    "that the job has started and left behind has no valid token any more."
                ) from error
            raise
        try:
            return self._claims(job, agents)
        except (KeyError, TypeError, ValueError) as error:
            raise unavailable("GitLab's response for the job can't be read.") from error

    def _claims(self, job: dict[str, Any], agents: dict[str, Any]) -> VerifiedClaims:
        pipeline = job["pipeline"]
        project_id = ProjectId(int(pipeline["project_id"]))
        if int(agents["project"]["id"]) != project_id or int(agents["job"]["id"]) != int(job["id"]):
            raise ValueError("the two responses are about different jobs")
        ref, source, tag = str(job["ref"]), str(pipeline["source"]), job["tag"] is True
        origin = self._source(project_id, ref, source)
        return VerifiedClaims(
            job_project_id=project_id,
            job_project_path=self._path(str(job["web_url"])),
            source_project_id=origin.project_id,
            job_id=int(job["id"]),
            pipeline_id=int(pipeline["id"]),
            pipeline_source=source,
            sha=str(pipeline["sha"]),
            ref=origin.ref,
            ref_type="tag" if tag else "branch",
            ref_protected=self._protected(project_id, ref, tag=tag),
            user_login=str(agents["user"]["username"]),
            user_role=_highest(agents["user"]["roles_in_project"]),
            expires_ms=_NEVER_MS,
        )

    def _path(self, web_url: str) -> str:
        """Read the project's path from the job's URL: no response to a job token contains it."""
        base = urlsplit(self._sessions.url).path
        found = _WEB_URL.fullmatch(unquote(urlsplit(web_url).path).removeprefix(base))
        if found is None:
            raise ValueError(f"{web_url!r} is not the URL of a job")
        return found["path"]

    def _source(self, project_id: ProjectId, ref: str, pipeline_source: str) -> fork_rule.CodeOrigin:
        try:
            return fork_rule.source_of(self._bot, project_id, ref=ref, pipeline_source=pipeline_source)
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            return fork_rule.CodeOrigin(fork_rule.NOT_KNOWN, ref)

    def _protected(self, project_id: ProjectId, ref: str, *, tag: bool) -> bool:
        """Whether the ref is protected. If the bot is not allowed to look, it counts as unprotected, so it can't
        promote.
        """
        if ref.startswith("refs/merge-requests/"):
            return False
        try:
            return self._bot.is_protected(project_id, ref, tag=tag)
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            return False


def _highest(roles: object) -> Role:
    """Return the highest of the roles that GitLab lists: the user's own and all lower ones."""
    if not isinstance(roles, list):
        raise TypeError("the roles are not a list")
    known = (Role[name.upper()] for name in map(str, roles) if name.upper() in Role.__members__)
    return max(known, default=Role.NONE)
