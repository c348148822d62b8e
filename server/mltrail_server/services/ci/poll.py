"""What changes without a training: merge requests that are opened, retargeted, merged or closed.

One call per project every 15 minutes is enough. Webhooks (see `events`) only make it faster.
"""

from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import due, merge_requests, pipelines

from .publish import thread

EVERY_MS = 15 * 60_000
_WAIT_FOR_REQUESTS_MS = 7 * 24 * 60 * 60_000
"""How long to wait for a merge request after a branch has trained."""


def begin(ci: Ci) -> None:
    """Look at a project's open merge requests from now on; no change where that is done already."""
    with ci.project.write() as tx:
        due.keep(tx, kind=due.PROJECT, key=0, at=tx.now + EVERY_MS)


def project(ci: Ci) -> int | None:
    """Have the worker look at what has changed. Returns when to poll again, None when there is nothing to wait for."""
    opened = {one.iid: one for one in ci.gitlab.open_requests(ci.project_id)}
    touched = thread.touched(ci, set(opened))
    with ci.project.write() as tx:
        now = tx.now
        before = merge_requests.opened(tx)
        changed = {
            iid
            for iid, (head, target) in before.items()
            if iid not in opened or (opened[iid].sha, opened[iid].target_branch) != (head, target)
        }
        merge_requests.distrust(tx, changed)
        stale = set(pipelines.newest_of_requests(tx, changed | touched).values())
        new = {one.source_branch for iid, one in opened.items() if iid not in before}
        unknown = set(pipelines.newest_of_branches(tx, new).values())
        pipelines.unresolve(tx, unknown)
        for pipeline_id in stale | unknown:
            due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=now)
        # Their newest commits may have no pipeline that has logged anything: that is reported, too.
        for iid in (changed | (opened.keys() - before.keys())) & opened.keys():
            due.mark(tx, kind=due.REQUEST, key=iid, at=now)
        waits = bool(opened.keys() & before.keys()) or pipelines.without_request_since(tx, now - _WAIT_FOR_REQUESTS_MS)
    return now + EVERY_MS if waits or stale or unknown else None
