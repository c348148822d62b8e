"""The files of a commit, summed up and remembered: a merge request's merged commit vanishes after the merge."""

from contextlib import suppress

from mltrail_server.domain import reviewed
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import pipelines


def of_pipeline(ci: Ci, pipeline_id: int, sha: str) -> str | None:
    """Sum up the files that a pipeline runs on; None when GitLab has the commit no more. One call, once a pipeline."""
    with ci.project.read() as tx:
        known = pipelines.tree_of(tx, pipeline_id)
    if known is not None:
        return known
    try:
        found = reviewed.digest(ci.gitlab.tree(ci.project_id, sha))
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None
    with ci.project.write() as tx:
        pipelines.keep_tree(tx, pipeline_id, found)
    return found


def remember(ci: Ci, pipeline_id: int, sha: str) -> None:
    """Look while the commit is there. A GitLab that does not answer is asked again when it matters."""
    with suppress(MltrailError):
        of_pipeline(ci, pipeline_id, sha)


def differing(ci: Ci, one: str, other: str) -> list[str]:
    """Name what differs between two commits, as far as GitLab still has both."""
    try:
        return reviewed.differing(ci.gitlab.tree(ci.project_id, one), ci.gitlab.tree(ci.project_id, other))
    except MltrailError:
        return []
