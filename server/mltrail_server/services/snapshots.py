"""What a run was before a job that came later wrote to it.

An evaluation, say, resumes a run that its training job has ended. If it fails, what the training proved must not be
gone with it, least of all on the target branch, where any manual job of an old pipeline may write to a baseline.
`pipeline_runs.fate_of` says when the snapshot is what counts.
"""

import sqlalchemy as sa

from mltrail_server.domain import ci
from mltrail_server.domain.candidate import Status
from mltrail_server.store import beside, candidates, jobs, logged_models, pipelines
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.jobs import Lateness

from .deps import Scope


def before_late_job(connection: sa.Connection, scope: Scope, candidate: Candidate, pipeline_id: int) -> Lateness:
    """Take a snapshot before another job of the pipeline first writes to a candidate, if that had ended well so far.

    `pipeline_id` is the one that the candidate counts to.
    """
    if candidate.status is not Status.FINISHED:
        # They write side by side, or it has failed already; what an earlier snapshot holds stays.
        return Lateness(late=candidate.snapshot_iid is not None, after_pipeline=False)
    statuses = jobs.statuses_of(connection, scope.project_id, candidate.iid)
    if candidate.snapshot_iid is None or all(status == ci.SUCCEEDED for status in statuses):
        take(connection, scope, candidate)
        jobs.settle_late(connection, scope.project_id, candidate.iid)
    pipeline = pipelines.get(connection, scope.project_id, pipeline_id)
    return Lateness(late=True, after_pipeline=pipeline is not None and pipeline.status in ci.ENDED)


def before_unchecked_write(connection: sa.Connection, scope: Scope, candidate: Candidate, job_id: int) -> None:
    """Take a snapshot before a write by a job of which GitLab can't say whether it still runs: it may be over."""
    flags = jobs.flags_of(connection, scope.project_id, candidate.iid)
    if any(flag.late for flag in flags.values()):
        return
    first = job_id not in flags or flags[job_id].unchecked_ms is None
    if first or candidate.status.ended:
        take(connection, scope, candidate)


def take(connection: sa.Connection, scope: Scope, candidate: Candidate) -> None:
    """Keep what a candidate is now, with the names of its files and of those of its logged models."""
    if candidate.snapshot_iid is not None:
        beside.forget(connection, scope.project_id, candidate.snapshot_iid, now=scope.now)
    number = beside.number(connection, scope.project_id)
    folders = {f"{candidate.experiment_iid}/{candidate.eid}/artifacts": "artifacts"}
    for model_id, experiment_iid in logged_models.made_by(connection, scope.project_id, candidate.eid):
        folders[f"{experiment_iid}/models/{model_id}/artifacts"] = f"models/{model_id}"
    beside.take(connection, scope.project_id, candidate.iid, folders=folders, to=number)
    candidates.change(connection, scope.project_id, candidate.iid, snapshot_iid=number)
