"""A child pipeline's runs count to the pipeline at its root, so that a merge request has one verdict on all of them."""

from mltrail_server.domain import gitlab_ci
from mltrail_server.gitlab import pipeline_parents
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import child_pipelines


def root_of(ci: Ci, pipeline_id: int) -> int:
    """Answer the pipeline that speaks for this one: itself, or a child pipeline's root, which GitLab is asked for once.

    Raises what GitLab's refusal means, NOT_FOUND for a pipeline that neither GitLab nor we know.
    """
    with ci.project.read() as tx:
        known = child_pipelines.kin(tx, pipeline_id)
    if known is not None and known.source != gitlab_ci.CHILD:
        return pipeline_id
    if known is not None and known.root_id is not None:
        return known.root_id
    told = ci.gitlab.pipeline(ci.project_id, pipeline_id)
    if told.source != gitlab_ci.CHILD:
        return pipeline_id
    root = pipeline_parents.root_of(ci.gitlab, ci.project_id, told)
    with ci.project.write() as tx:
        if root is None:
            child_pipelines.keep_alone(tx, pipeline_id)
            return pipeline_id
        child_pipelines.adopt(tx, told, root)
    return root.id


def known_root(ci: Ci, pipeline_id: int) -> int:
    """Answer the same from what is stored."""
    with ci.project.read() as tx:
        return child_pipelines.root_of(tx, pipeline_id)


def jobs_of_children(ci: Ci, pipeline_id: int, *, fresh: bool) -> list[gitlab_ci.Job]:
    """Ask for the jobs of a pipeline's children: of those that have something open, or of all that are `fresh`."""
    with ci.project.read() as tx:
        found = child_pipelines.children(tx, pipeline_id)
        if found and not fresh:
            found = child_pipelines.unsettled(tx, found, ended=gitlab_ci.ENDED)
    return [job for child in found for job in ci.gitlab.pipeline_jobs(ci.project_id, child)]
