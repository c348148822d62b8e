"""Who may ask for a promotion, and for which pipeline."""

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import forbidden
from mltrail_server.domain.identity import Actor
from mltrail_server.services.context.deps import Ci, Scope


def check(scope: Scope, pipeline_id: int, *, pre_release: bool) -> None:
    """Check what is known without asking GitLab. Raises FORBIDDEN."""
    actor = scope.actor
    if scope.deps.team is None:
        raise forbidden(
            "Local mode knows no pipelines, so nothing can be promoted: register versions and set aliases with MLflow."
        )
    if actor.job is None:
        _check_person(actor)
        return
    job = actor.job
    if job.pipeline_id != pipeline_id:
        raise forbidden(f"This job belongs to pipeline {job.pipeline_id} and can't promote for {pipeline_id}.")
    if pre_release:
        return
    if job.pipeline_source == "merge_request_event":
        raise forbidden(
            "A merge request's pipeline does not promote; the default branch does, after the merge. For a version to "
            "try out beforehand use --pre-release."
        )
    if not job.ref_protected:
        raise forbidden(unprotected(job.ref))


def check_ref(scope: Scope, ci: Ci, pipeline: gitlab_ci.GitLabPipeline) -> None:
    """Check that only people who may merge can start such a pipeline. A job's token says so; for people GitLab does."""
    if scope.actor.job is None and not ci.gitlab.is_protected(scope.project_id, pipeline.ref, tag=pipeline.tag):
        raise forbidden(unprotected(pipeline.ref))


def _check_person(actor: Actor) -> None:
    if not actor.has_maintainer_rights:
        raise forbidden(
            "Promoting by hand takes the Maintainer role in this project. A pipeline on a protected branch promotes by "
            "itself: include the `promote` component, which calls `mltrail promote`."
        )


def unprotected(ref: str) -> str:
    return (
        f"'{ref}' is not protected, so anybody who can push could promote. Protect it in GitLab "
        "(Settings > Repository)."
    )
