"""Which pipeline is the root of a child pipeline? GitLab's REST API shows it only from the parent's side.

https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#parent-child-pipelines
"""

from typing import Any

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.ids import ProjectId

from . import decode, renamed_urls
from .client import GitLab
from .connections import NO_WAITING
from .errors import translating_errors

_MOST_ROOTS = 10
_MOST_TRIGGERS = 100


def root_of(gitlab: GitLab, project_id: ProjectId, child: gitlab_ci.GitLabPipeline) -> gitlab_ci.GitLabPipeline | None:
    """Find the pipeline that started a child pipeline, directly or through another child; None if GitLab has none.

    One call, and if a commit has several pipelines, one more for each of them and for each child on the way.
    """
    path = f"/projects/{project_id}/pipelines"
    with translating_errors("pipelines", bot=True):
        # Lists leave out child pipelines. A pipeline and its children run the same commit of the same ref.
        got = gitlab.bot(project_id).http_list(
            path, query_data={"sha": child.sha, "ref": child.ref}, per_page=100, page=1, get_all=False, **NO_WAITING
        )
        roots = [one for one in got if one["source"] != gitlab_ci.CHILD and one["id"] < child.id]
    if len(roots) > 1:
        roots = [one for one in roots[:_MOST_ROOTS] if _has_started(gitlab, project_id, one["id"], child.id)]
    return decode.pipeline(roots[0], tag=child.tag) if roots else None


def _has_started(gitlab: GitLab, project_id: ProjectId, pipeline_id: int, wanted: int) -> bool:
    started = _started(gitlab, project_id, pipeline_id)
    # A child can have children, but no grandchildren.
    return wanted in started or any(wanted in _started(gitlab, project_id, one) for one in started if one < wanted)


def _started(gitlab: GitLab, project_id: ProjectId, pipeline_id: int) -> list[int]:
    def ask(name: str) -> list[dict[str, Any]]:
        path = f"/projects/{project_id}/pipelines/{pipeline_id}/{name}"
        with translating_errors("pipeline", bot=True):
            got = gitlab.bot(project_id).http_list(path, per_page=_MOST_TRIGGERS, page=1, get_all=False, **NO_WAITING)
            return [one["downstream_pipeline"] for one in got if one.get("downstream_pipeline")]

    downstream = renamed_urls.ask_by_either_name(gitlab.sessions, renamed_urls.TRIGGER_JOBS, ask)
    return [one["id"] for one in downstream if one.get("project_id") in (None, project_id)]
