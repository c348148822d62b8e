"""A child pipeline's runs count to the pipeline at its root, so that a merge request has one verdict on all of them."""

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab import pipeline_parents
from mltrail_server.gitlab.client import GitLab
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import child_pipelines


def root_of(deps: Deps, gitlab: GitLab, project_id: ProjectId, pipeline_id: int) -> int:
    """Answer the pipeline that speaks for this one: itself, or a child pipeline's root, which GitLab is asked for once.

    Raises what GitLab's refusal means, NOT_FOUND for a pipeline that neither GitLab nor we know.
    """
    with deps.db.read() as connection:
        known = child_pipelines.kin(connection, project_id, pipeline_id)
    if known is not None and known.source != gitlab_ci.CHILD:
        return pipeline_id
    if known is not None and known.root_id is not None:
        return known.root_id
    told = gitlab.pipeline(project_id, pipeline_id)
    if told.source != gitlab_ci.CHILD:
        return pipeline_id
    root = pipeline_parents.root_of(gitlab, project_id, told)
    with deps.db.write() as connection:
        if root is None:
            child_pipelines.keep_alone(connection, project_id, pipeline_id)
            return pipeline_id
        child_pipelines.adopt(connection, project_id, told, root, now=deps.clock())
    return root.id


def known_root(deps: Deps, project_id: ProjectId, pipeline_id: int) -> int:
    """Answer the same from what is stored."""
    with deps.db.read() as connection:
        return child_pipelines.root_of(connection, project_id, pipeline_id)


def jobs_of_children(
    deps: Deps, gitlab: GitLab, project_id: ProjectId, pipeline_id: int, *, fresh: bool
) -> list[gitlab_ci.Job]:
    """Ask for the jobs of a pipeline's children: of those that have something open, or of all that are `fresh`."""
    with deps.db.read() as connection:
        found = child_pipelines.children(connection, project_id, pipeline_id)
        if found and not fresh:
            found = child_pipelines.unsettled(connection, project_id, found, ended=gitlab_ci.ENDED)
    return [job for child in found for job in gitlab.pipeline_jobs(project_id, child)]
