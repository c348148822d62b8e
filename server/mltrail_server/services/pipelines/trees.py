"""The files of a commit, summed up and remembered: a merge request's merged commit vanishes after the merge."""

from contextlib import suppress

from mltrail_server.domain import reviewed
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.ci import pipelines


def of_pipeline(deps: Deps, gitlab: GitLab, project_id: ProjectId, pipeline_id: int, sha: str) -> str | None:
    """Sum up the files that a pipeline runs on; None when GitLab has the commit no more. One call, once a pipeline."""
    with deps.db.read() as connection:
        known = pipelines.tree_of(connection, project_id, pipeline_id)
    if known is not None:
        return known
    try:
        found = reviewed.digest(gitlab.tree(project_id, sha))
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None
    with deps.db.write() as connection:
        pipelines.keep_tree(connection, project_id, pipeline_id, found)
    return found


def remember(deps: Deps, gitlab: GitLab, project_id: ProjectId, pipeline_id: int, sha: str) -> None:
    """Look while the commit is there. A GitLab that does not answer is asked again when it matters."""
    with suppress(MltrailError):
        of_pipeline(deps, gitlab, project_id, pipeline_id, sha)


def differing(gitlab: GitLab, project_id: ProjectId, one: str, other: str) -> list[str]:
    """Name what differs between two commits, as far as GitLab still has both."""
    try:
        return reviewed.differing(gitlab.tree(project_id, one), gitlab.tree(project_id, other))
    except MltrailError:
        return []
