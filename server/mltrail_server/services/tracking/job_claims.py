"""GitLab's contract for clients without a job's token: the tag `gitlab.CI_JOB_ID` names the job.

It is believed after the job was looked up in this project, and shown as claimed, never as verified: whoever may write
to the project can name any of its jobs.
"""

from collections.abc import Mapping

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.domain.identity import Actor
from mltrail_server.services.context.deps import Scope


def look_up(scope: Scope, tags: Mapping[str, str]) -> gitlab_ci.Job | None:
    """Fetch the job that a client claims by its tags; None when it claims none, or proves its own. Asks GitLab, so call
    it before a transaction begins.

    Raises INVALID for a job that this project does not have, UNAVAILABLE when GitLab does not answer.
    """
    told = tags.get(gitlab_ci.JOB_TAG)
    if told is None or scope.actor.job is not None or scope.deps.team is None:
        return None
    try:
        if told.isascii() and told.isdigit() and 0 < len(told) < 19:
            return scope.deps.team.gitlab.job(scope.project_id, int(told))
    except MltrailError as error:
        if error.code is Code.UNAVAILABLE:
            raise
    raise invalid(
        f"The tag '{gitlab_ci.JOB_TAG}' must name a job of {scope.actor.project_path}, and '{told[:40]}' is none that "
        "mltrail can see there. In a CI job leave the tag away and use an ID token (`id_tokens:`): then the run is "
        "tied by itself."
    )


def truth(actor: Actor, gitlab_url: str, job: gitlab_ci.Job) -> dict[str, str]:
    """What a claimed job is shown with. The key `gitlab.verified` stays away."""
    web = f"{gitlab_url.rstrip('/')}/{actor.project_path}/-"
    return {
        gitlab_ci.JOB_TAG: str(job.id),
        "gitlab.CI_JOB_URL": f"{web}/jobs/{job.id}",
        "gitlab.CI_PIPELINE_ID": str(job.pipeline_id),
        "gitlab.CI_PIPELINE_URL": f"{web}/pipelines/{job.pipeline_id}",
        "gitlab.CI_PROJECT_ID": str(actor.project_id),
        "gitlab.CI_PROJECT_PATH": actor.project_path,
        "gitlab.CI_COMMIT_REF_NAME": job.ref,
    }
