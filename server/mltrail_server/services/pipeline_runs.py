"""The candidates of a pipeline, with what became of their jobs."""

from collections.abc import Sequence

import sqlalchemy as sa

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.ci import SUCCEEDED
from mltrail_server.domain.grouping import Run, State
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.model import model_of_experiment
from mltrail_server.store import candidates, experiments, jobs, metrics, params
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.jobs import TiedJob

_STATES = {"failed": State.FAILED, "canceled": State.CANCELED, "skipped": State.CANCELED}


def of(connection: sa.Connection, project_id: ProjectId, pipeline_id: int) -> dict[str, list[Run]]:
    """Fetch a pipeline's runs by the model that they train, which is their experiment's name until a contract file says
    more. Six statements.
    """
    tied: dict[int, list[TiedJob]] = {}
    for job in jobs.tied_in(connection, project_id, pipeline_id):
        tied.setdefault(job.candidate_iid, []).append(job)
    iids = list(tied)
    if not iids:
        return {}
    found = [one for one in candidates.of_iids(connection, project_id, iids) if one.stage is Stage.ACTIVE]
    names = experiments.names_of(connection, project_id, {one.experiment_iid for one in found})
    of_params = params.of(connection, project_id, iids)
    of_metrics = metrics.latest_of(connection, project_id, iids)
    by_model: dict[str, list[Run]] = {}
    for candidate in found:
        creator = tied[candidate.iid][0]
        run = Run(
            candidate.iid,
            candidate.name,
            state_of(candidate, tied[candidate.iid]),
            dict(of_params.get(candidate.iid, [])),
            {point.key: point.value for point in of_metrics.get(candidate.iid, [])},
            creator.job_id,
            creator.name or f"job {creator.job_id}",
            creator.web_url or "",
        )
        by_model.setdefault(model_of(names[candidate.experiment_iid]), []).append(run)
    return by_model


def model_of(experiment: str) -> str:
    """Name the model of an experiment: GitLab calls a model's own experiment `[model]<name>`."""
    return model_of_experiment(experiment) or experiment


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
    return State.SUCCEEDED if all(job.status == SUCCEEDED for job in tied) else State.RUNNING
