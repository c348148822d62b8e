"""Whose code does a merge request's pipeline run? A fork's pipeline can run in the target project, with its id.

https://docs.gitlab.com/ci/pipelines/merge_request_pipelines/#use-with-forked-projects
"""

import re
from dataclasses import dataclass

from mltrail_server.domain.ids import ProjectId

from .client import GitLab

NOT_KNOWN = ProjectId(0)
"""An unknown source project. It equals no project, so the job counts as a fork's."""

MERGE_REQUEST_EVENT = "merge_request_event"
_REF = re.compile(r"refs/merge-requests/(\d+)/(?:head|merge|train)")


@dataclass(frozen=True, slots=True)
class CodeOrigin:
    project_id: ProjectId
    ref: str  # branch or tag, as an ID token names it


def source_of(gitlab: GitLab, project_id: ProjectId, *, ref: str, pipeline_source: str) -> CodeOrigin:
    """Find whose code a pipeline runs. `ref` is as in the API, for example `refs/merge-requests/7/head`.

    Raises as `GitLab` does.
    """
    found = _REF.match(ref)
    if found is None:
        # Every other pipeline runs a branch or tag of its own project.
        return CodeOrigin(NOT_KNOWN if pipeline_source == MERGE_REQUEST_EVENT else project_id, ref)
    request = gitlab.merge_request(project_id, int(found[1]))
    return CodeOrigin(ProjectId(request.source_project_id), request.source_branch)
