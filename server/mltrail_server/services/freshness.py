"""Does a merge request's pipeline hold all of the target branch? Then its merge brings the files that it ran on."""

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId

from .deps import Deps
from .reports import Report


def of(deps: Deps, project_id: ProjectId, report: Report) -> bool | None:
    """Tell it as of now; None when it can't be told. One call to GitLab, two for a merged results pipeline."""
    request, sha = report.merge_request, report.pipeline.sha
    if request is None or deps.gitlab is None:
        return None
    try:
        head = deps.gitlab.branch_head(project_id, request.target_branch)
        if head is None:
            return None
        if sha == request.head_sha:
            return request.base_sha == head
        return head in deps.gitlab.commit_parents(project_id, sha)
    except MltrailError:
        return None
