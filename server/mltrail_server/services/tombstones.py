"""What must be left of runs that are removed for good.

A baseline that was removed is not the same as a baseline that never was: the verdict is unknown then, and says who has
removed it. So whatever purges runs calls `leave` first, in the transaction in which it removes them.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store import beside, candidate_tags, candidates, jobs
from mltrail_server.store import tombstones as store
from mltrail_server.store.tombstones import Tombstone

from . import pipeline_runs


def leave(connection: sa.Connection, project_id: ProjectId, iids: Sequence[int], *, by: str, now: int) -> None:
    """Leave a tombstone for each of these candidates that a job's token vouches for, and remove what stands beside
    them: amendments and snapshots, with their files.

    `by` is the login of who removes them, or the name of the command. Call it while the candidates' rows are still
    there. Their rows of `candidate_job` may go or stay.
    """
    of_pipeline: dict[int, list[int]] = {}
    for iid in iids:
        link = next((one for one in jobs.links_of(connection, project_id, iid) if one.verified), None)
        if link is not None:
            of_pipeline.setdefault(link.pipeline_id, []).append(iid)
    for pipeline_id, found in of_pipeline.items():
        _leave(connection, project_id, pipeline_id, found, by=by, now=now)
    for candidate in candidates.of_iids(connection, project_id, list(iids)):
        for number in (candidate.amendment_iid, candidate.snapshot_iid):
            if number is not None:
                beside.forget(connection, project_id, number, now=now)


def _leave(
    connection: sa.Connection, project_id: ProjectId, pipeline_id: int, iids: list[int], *, by: str, now: int
) -> None:
    of_tags = candidate_tags.own(connection, project_id, iids)
    runs = pipeline_runs.outlines(connection, project_id, [pipeline_id], as_baseline=True).get(pipeline_id, [])
    store.add(
        connection,
        project_id,
        [
            # While its jobs run nobody knows what it will be; it counts as what it may have been.
            Tombstone(
                run.iid,
                pipeline_id,
                run.experiment,
                run.name,
                of_tags.get(run.iid, {}),
                RunState.SUCCEEDED if run.state is RunState.RUNNING else run.state,
                by,
                now,
            )
            for run in runs
            if run.iid in iids and run.gone is None
        ],
    )
