"""The branch that a merge request goes into: does its pipeline hold all of it, and has anything run on it?"""

from dataclasses import dataclass

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab

from .deps import Deps
from .reports import Report


@dataclass(frozen=True, slots=True)
class Target:
    """`up_to_date`: the merge request's pipeline holds all of the target branch, so its merge brings the files that it
    ran on. `without_pipeline` is the target branch's last commit where GitLab has run nothing on it. None where it is
    not known.
    """

    up_to_date: bool | None = None
    without_pipeline: str | None = None


def of(deps: Deps, project_id: ProjectId, report: Report) -> Target:
    """Tell it as of now. Two calls to GitLab, three for a merged results pipeline."""
    request = report.merge_request
    if request is None or deps.gitlab is None:
        return Target()
    try:
        head = deps.gitlab.branch_head(project_id, request.target_branch)
        if head is None:
            return Target()
        up_to_date = _is_up_to_date(deps.gitlab, project_id, report, head)
        runs = deps.gitlab.has_pipeline(project_id, request.target_branch, head)
        return Target(up_to_date, None if runs else head)
    except MltrailError:
        return Target()


def _is_up_to_date(gitlab: GitLab, project_id: ProjectId, report: Report, head: str) -> bool:
    request, sha = report.merge_request, report.pipeline.sha
    if request is not None and sha == request.head_sha:
        return request.base_sha == head
    return head in gitlab.commit_parents(project_id, sha)
