"""The candidates of pipelines, with what became of their jobs."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.ci import SUCCEEDED
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.selection import model_of
from mltrail_server.domain.sweeps import CONFIRM
from mltrail_server.store import experiments, metrics, params, pipeline_candidates, run_data
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.jobs import TiedJob

PARENT = "mlflow.parentRunId"
_STATES = {"failed": State.FAILED, "canceled": State.CANCELED, "skipped": State.CANCELED, "deleted": State.CANCELED}


def of(
    connection: sa.Connection, project_id: ProjectId, pipeline_id: int, *, deleted_too: bool = False
) -> dict[str, list[Run]]:
    """Fetch a pipeline's runs by their experiment's name, which is the model's where no contract file says more.

    Seven statements.
    """
    found = outlines(connection, project_id, [pipeline_id], deleted_too=deleted_too).get(pipeline_id, [])
    by_model: dict[str, list[Run]] = {}
    for run in filled(connection, project_id, found):
        by_model.setdefault(model_of(run.experiment), []).append(run)
    return by_model


def outlines(
    connection: sa.Connection,
    project_id: ProjectId,
    pipeline_ids: Sequence[int],
    *,
    tags: Iterable[str] = (),
    deleted_too: bool = False,
) -> dict[int, list[Run]]:
    """Fetch the runs of pipelines without what was logged to them, except for some tags. Four statements."""
    tied = pipeline_candidates.tied_in(connection, project_id, pipeline_ids)
    if not tied:
        return {}
    stages = tuple(Stage) if deleted_too else (Stage.ACTIVE,)
    listed = pipeline_candidates.candidates(connection, project_id, pipeline_ids, stages=stages)
    found = {one.iid: one for one in listed}
    names = experiments.names_of(connection, project_id, {one.experiment_iid for one in found.values()})
    of_tags = pipeline_candidates.tags(connection, project_id, pipeline_ids, {PARENT, CONFIRM, *tags})
    iids = {one.eid: one.iid for one in found.values()}
    return {
        pipeline_id: [
            _run(found[iid], jobs, names[found[iid].experiment_iid], of_tags.get(iid, {}), iids)
            for iid, jobs in sorted(of_pipeline.items())
            if iid in found
        ]
        for pipeline_id, of_pipeline in tied.items()
    }


def local(connection: sa.Connection, project_id: ProjectId, shas: Sequence[str], *, limit: int) -> list[Run]:
    """Fetch the newest runs of these commits that no job has made, with what was logged. Five statements."""
    found = pipeline_candidates.without_job(connection, project_id, shas, limit=limit)
    if not found:
        return []
    names = experiments.names_of(connection, project_id, {one.experiment_iid for one in found})
    runs = [Run(one.iid, one.name, State.LOCAL, {}, {}, experiment=names[one.experiment_iid]) for one in found]
    return filled(connection, project_id, runs)


def filled(connection: sa.Connection, project_id: ProjectId, runs: Sequence[Run]) -> list[Run]:
    """Add parameters, latest metrics and datasets. Three statements."""
    iids = [run.iid for run in runs]
    if not iids:
        return []
    of_params = params.of(connection, project_id, iids)
    of_metrics = metrics.latest_of(connection, project_id, iids)
    of_datasets = run_data.datasets(connection, project_id, iids)
    return [
        replace(
            run,
            params=dict(of_params.get(run.iid, [])),
            metrics={point.key: point.value for point in of_metrics.get(run.iid, [])},
            datasets=of_datasets.get(run.iid, {}),
        )
        for run in runs
    ]


def state_of(candidate: Candidate, tied: Sequence[TiedJob]) -> State:
    """Tell what became of a candidate: by its jobs, since a client may die without a word or say that all is well."""
    if candidate.amended or not any(job.verified for job in tied):
        return State.AMENDED
    if any(job.retried for job in tied):
        return State.SUPERSEDED
    for job in tied:
        if job.status in _STATES:
            return _STATES[job.status]
    if candidate.status in (Status.FAILED, Status.KILLED):
        return State.FAILED if candidate.status is Status.FAILED else State.CANCELED
    if candidate.detached_until_ms is not None and not candidate.status.ended:
        return State.RUNNING  # its jobs are over, its training is not
    return State.SUCCEEDED if all(job.status == SUCCEEDED for job in tied) else State.RUNNING


def _run(
    candidate: Candidate, tied: Sequence[TiedJob], experiment: str, tags: dict[str, str], iids: dict[str, int]
) -> Run:
    creator = tied[0]
    return Run(
        candidate.iid,
        candidate.name,
        state_of(candidate, tied),
        {},
        {},
        creator.job_id,
        creator.name or f"job {creator.job_id}",
        creator.web_url or "",
        experiment=experiment,
        tags=tags,
        parent_iid=iids.get(tags.get(PARENT, "")),
    )
