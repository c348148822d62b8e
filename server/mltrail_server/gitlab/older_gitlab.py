"""ID tokens of a GitLab before 18.4: they don't say where the job runs, so the bot looks it up.

In a fork's merge request pipeline, `project_id` is the fork since 18.2.2, and was the project in which the job runs
before; the merge request's source project decides in both cases.
"""

from collections.abc import Mapping
from typing import Any

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, not_found
from mltrail_server.domain.ids import ProjectId

from . import fork_rule
from .client import GitLab


class OlderGitLab:
    def __init__(self, bot: GitLab) -> None:
        self._bot = bot

    def completed(self, claims: Mapping[str, Any], project: str) -> tuple[dict[str, Any], ProjectId]:
        """Return the checked claims together with the missing ones, and the project whose code runs: 0 if that is not
        known.

        Raises NOT_FOUND if the job does not belong to this project, UNAVAILABLE when GitLab does not respond.
        """
        own_id, own_path = str(claims.get("project_id", "")), str(claims.get("project_path", ""))
        named = project == own_id or project.lower() == own_path.lower()
        try:
            where = self._bot.project_named(project)
            job = self._bot.job(ProjectId(where.id), _number(claims.get("job_id")))
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            if not named:
                raise not_found(
                    "The job of this ID token does not belong to this project, as far as mltrail can see."
                ) from error
            return {**claims, "job_project_id": own_id, "job_project_path": own_path}, fork_rule.NOT_KNOWN
        if str(job.pipeline_id) != str(claims.get("pipeline_id")):
            raise not_found("The job of this ID token does not belong to this project.")
        home = {"job_project_id": str(where.id), "job_project_path": where.path}
        return {**claims, **home}, self._source(claims, where, job)

    def _source(self, claims: Mapping[str, Any], where: gitlab_ci.GitLabProject, job: gitlab_ci.Job) -> ProjectId:
        try:
            found = fork_rule.source_of(
                self._bot, ProjectId(where.id), ref=job.ref, pipeline_source=str(claims.get("pipeline_source"))
            ).project_id
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                raise
            return fork_rule.NOT_KNOWN
        # A token that names a fork counts as the fork's, whatever else is known.
        return found if str(claims.get("project_id")) == str(where.id) else fork_rule.NOT_KNOWN


def _number(value: object) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
