"""Which pipeline is at the root of a child pipeline? GitLab's REST API tells it from the parent's side only.

https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#parent-child-pipelines
"""

from typing import Any

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId

from . import readings, renamed
from .client import GitLab
from .errors import telling
from .session import NO_WAITING

_MOST_ROOTS = 10
_MOST_TRIGGERS = 100


def root_of(gitlab: GitLab, project_id: ProjectId, child: gitlab_ci.Pipeline) -> gitlab_ci.Pipeline | None:
    """Find the pipeline that has started a child pipeline, itself or by another child; None where GitLab has none.

    One call; where a commit had several pipelines one more for each of them, and for each child on the way.
    """
    path = f"/projects/{project_id}/pipelines"
    with telling("pipelines", bot=True):
        # Lists leave child pipelines out. All of a family run the same commit of the same ref.
        got = gitlab.bot(project_id).http_list(
            path, query_data={"sha": child.sha, "ref": child.ref}, per_page=100, page=1, get_all=False, **NO_WAITING
        )
        roots = [one for one in got if one["source"] != gitlab_ci.CHILD and one["id"] < child.id]
    if len(roots) > 1:
        roots = [one for one in roots[:_MOST_ROOTS] if _has_started(gitlab, project_id, one["id"], child.id)]
    return readings.pipeline(roots[0], tag=child.tag) if roots else None


def _has_started(gitlab: GitLab, project_id: ProjectId, pipeline_id: int, wanted: int) -> bool:
    started = _started(gitlab, project_id, pipeline_id)
    # A child may have children, and these may not.
    return wanted in started or any(wanted in _started(gitlab, project_id, one) for one in started if one < wanted)


def _started(gitlab: GitLab, project_id: ProjectId, pipeline_id: int) -> list[int]:
    def ask(name: str) -> list[dict[str, Any]]:
        path = f"/projects/{project_id}/pipelines/{pipeline_id}/{name}"
        with telling("pipeline", bot=True):
            got = gitlab.bot(project_id).http_list(path, per_page=_MOST_TRIGGERS, page=1, get_all=False, **NO_WAITING)
            return [one["downstream_pipeline"] for one in got if one.get("downstream_pipeline")]

    downstream = renamed.asked(gitlab.sessions, renamed.TRIGGER_JOBS, ask)
    return [one["id"] for one in downstream if one.get("project_id") in (None, project_id)]
