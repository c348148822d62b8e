"""Digests of commits' files, which we store: the merged commit of a merge request is gone after the merge."""

from contextlib import suppress

from mltrail_server.domain import reviewed
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import pipelines
from mltrail_server.store.ci.merge_requests import MergeRequest

MOST_LOOKS = 10
"""How many pipelines of a merge request can count together."""


def of_pipeline(ci: Ci, pipeline_id: int, sha: str) -> str | None:
    """Return a digest of the files that a pipeline runs on; None if GitLab no longer has the commit. One call, once."""
    with ci.project.read() as tx:
        stored = pipelines.tree_of(tx, pipeline_id)
    if stored is not None:
        return stored
    try:
        digest = reviewed.digest(ci.gitlab.tree(ci.project_id, sha))
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        return None
    with ci.project.write() as tx:
        pipelines.keep_tree(tx, pipeline_id, digest)
    return digest


def remember(ci: Ci, pipeline_id: int, sha: str) -> None:
    """Store the digest while the commit exists. If GitLab does not answer, it is asked again when that matters."""
    with suppress(MltrailError):
        of_pipeline(ci, pipeline_id, sha)


def remember_of_request(ci: Ci, request: MergeRequest) -> None:
    """Store the digests of a merge request's pipelines that have trained: runs on the same files count together.

    One call for each commit that is not known yet, none while there is only one commit. If GitLab does not answer, the
    others stay unknown, and their runs do not count.
    """
    with ci.project.read() as tx:
        trained = pipelines.trained_for(tx, request.iid, branch=request.source_branch, limit=MOST_LOOKS)
    if len({one.pipeline.sha for one in trained}) == 1:
        return
    known: dict[str, str | None] = {one.pipeline.sha: one.tree for one in trained if one.tree is not None}
    with suppress(MltrailError):
        for one in trained:
            if one.pipeline.sha not in known:
                known[one.pipeline.sha] = of_pipeline(ci, one.pipeline.id, one.pipeline.sha)
    lacking = {one.pipeline.id: tree for one in trained if one.tree is None and (tree := known.get(one.pipeline.sha))}
    if lacking:
        with ci.project.write() as tx:
            for pipeline_id, tree in lacking.items():
                pipelines.keep_tree(tx, pipeline_id, tree)


def differing(ci: Ci, one: str, other: str) -> list[str]:
    """List what differs between two commits; nothing if GitLab no longer has both."""
    try:
        return reviewed.differing(ci.gitlab.tree(ci.project_id, one), ci.gitlab.tree(ci.project_id, other))
    except MltrailError:
        return []
