"""A child pipeline's runs count towards the pipeline at its root, so that a merge request has one verdict on all."""

from mltrail_server.domain import gitlab_ci
from mltrail_server.gitlab import pipeline_parents
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import child_pipelines


def root_of(ci: Ci, pipeline_id: int) -> int:
    """Return the pipeline that reports for this one: itself, or a child pipeline's root, which GitLab is asked once.

    Raises the error that GitLab's refusal stands for, NOT_FOUND for a pipeline that neither GitLab nor we know.
    """
    with ci.project.read() as tx:
        known = child_pipelines.parentage(tx, pipeline_id)
    if known is not None and known.source != gitlab_ci.CHILD:
        return pipeline_id
    if known is not None and known.root_id is not None:
        return known.root_id
    pipeline = ci.gitlab.pipeline(ci.project_id, pipeline_id)
    if pipeline.source != gitlab_ci.CHILD:
        return pipeline_id
    root = pipeline_parents.root_of(ci.gitlab, ci.project_id, pipeline)
    with ci.project.write() as tx:
        if root is None:
            child_pipelines.keep_alone(tx, pipeline_id)
            return pipeline_id
        child_pipelines.adopt(tx, pipeline, root)
    return root.id


def known_root(ci: Ci, pipeline_id: int) -> int:
    """Return the same from the database."""
    with ci.project.read() as tx:
        return child_pipelines.root_of(tx, pipeline_id)


def jobs_of_children(ci: Ci, pipeline_id: int, *, fresh: bool) -> list[gitlab_ci.Job]:
    """Ask for the jobs of a pipeline's children: of those with unfinished jobs, or of all if `fresh`."""
    with ci.project.read() as tx:
        children = child_pipelines.children(tx, pipeline_id)
        if children and not fresh:
            children = child_pipelines.unsettled(tx, children, ended=gitlab_ci.ENDED)
    return [job for child in children for job in ci.gitlab.pipeline_jobs(ci.project_id, child)]
