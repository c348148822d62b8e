"""What changes without a training: merge requests that are opened, retargeted, merged or closed.

One call a project and quarter of an hour tells it all. A webhook tells it at once (see `news`), and is not needed.
"""

from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps, gitlab_of
from mltrail_server.store.ci import due, merge_requests, pipelines

from .publish import gate_thread

EVERY_MS = 15 * 60_000
_WAIT_FOR_REQUESTS_MS = 7 * 24 * 60 * 60_000
"""So long after a branch has trained a merge request for it is waited for."""


def begin(deps: Deps, project_id: ProjectId) -> None:
    """Look at a project's open merge requests from now on; no change where that is done already."""
    now = deps.clock()
    with deps.db.write() as connection:
        due.keep(connection, project_id, kind=due.PROJECT, key=0, at=now + EVERY_MS, now=now)


def project(deps: Deps, project_id: ProjectId) -> int | None:
    """Have looked at what has changed. Answers when to sweep again, None when there is nothing to wait for."""
    gitlab = gitlab_of(deps)
    told = {one.iid: one for one in gitlab.open_requests(project_id)}
    touched = gate_thread.touched(deps, gitlab, project_id, set(told))
    with deps.db.write() as connection:
        now = deps.clock()
        before = merge_requests.opened(connection, project_id)
        changed = {
            iid
            for iid, (head, target) in before.items()
            if iid not in told or (told[iid].sha, told[iid].target_branch) != (head, target)
        }
        merge_requests.distrust(connection, project_id, changed)
        stale = set(pipelines.newest_of_requests(connection, project_id, changed | touched).values())
        new = {one.source_branch for iid, one in told.items() if iid not in before}
        unknown = set(pipelines.newest_of_branches(connection, project_id, new).values())
        pipelines.unresolve(connection, project_id, unknown)
        for pipeline_id in stale | unknown:
            due.mark(connection, project_id, kind=due.PIPELINE, key=pipeline_id, at=now, now=now)
        # Their newest commits may have no pipeline that has logged anything: that is reported, too.
        for iid in (changed | (told.keys() - before.keys())) & told.keys():
            due.mark(connection, project_id, kind=due.REQUEST, key=iid, at=now, now=now)
        waits = bool(told.keys() & before.keys()) or pipelines.without_request_since(
            connection, project_id, now - _WAIT_FOR_REQUESTS_MS
        )
    return now + EVERY_MS if waits or stale or unknown else None
