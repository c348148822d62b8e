"""The candidates of pipelines, with what became of their jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.gitlab_ci import SUCCEEDED
from mltrail_server.domain.grouping import Gone, Run, RunState
from mltrail_server.domain.selection import model_of
from mltrail_server.domain.trials import CONFIRM_TAG, PARENT_TAG
from mltrail_server.store.ci import jobs
from mltrail_server.store.ci.jobs import Part, TiedJob
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import pipeline_runs, tombstones
from mltrail_server.store.review.tombstones import Tombstone
from mltrail_server.store.tracking import experiments, metrics, params
from mltrail_server.store.tracking.candidates import Candidate

NAME = "mlflow.runName"
_STATES = {
    "failed": RunState.FAILED,
    "canceled": RunState.CANCELED,
    "skipped": RunState.CANCELED,
    "deleted": RunState.CANCELED,
}


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What became of a candidate. `snapshot`: what it was before a later job is what counts."""

    state: RunState
    snapshot: bool = False


def of(tx: Transaction, pipeline_id: int, *, as_baseline: bool = False) -> dict[str, list[Run]]:
    """Fetch a pipeline's runs by their experiment's name, which is the model's where no contract file says more.

    Eight statements.
    """
    found = outlines(tx, [pipeline_id], as_baseline=as_baseline).get(pipeline_id, [])
    by_model: dict[str, list[Run]] = {}
    for run in filled(tx, found):
        by_model.setdefault(model_of(run.experiment), []).append(run)
    return by_model


def outlines(
    tx: Transaction, pipeline_ids: Sequence[int], *, tags: Iterable[str] = (), as_baseline: bool = False
) -> dict[int, list[Run]]:
    """Fetch the runs of pipelines without what was logged to them, except for some tags. Five statements, and one more
    where jobs were retried.

    Runs that somebody has deleted are among them, and of those that are gone for good what their tombstones tell. As a
    baseline a run stays what was proved once: see `fate_of`.
    """
    tied = pipeline_runs.tied_in(tx, pipeline_ids)
    stones = tombstones.of_pipelines(tx, pipeline_ids)
    if not tied:
        return {pipeline_id: [_gone(one) for one in of_pipeline] for pipeline_id, of_pipeline in stones.items()}
    listed = pipeline_runs.candidates(tx, pipeline_ids, stages=tuple(Stage))
    found = {one.iid: one for one in listed}
    names = experiments.names_of(tx, {one.experiment_iid for one in found.values()})
    attempts = jobs.newest_attempts(
        tx, [job for of_one in tied.values() for its_jobs in of_one.values() for job in its_jobs]
    )
    fates = {
        iid: job_outcome_of(found[iid], its_jobs, attempts, as_baseline=as_baseline)
        for of_one in tied.values()
        for iid, its_jobs in of_one.items()
        if iid in found
    }
    snapshots = {iid: found[iid].snapshot_iid for iid, fate in fates.items() if fate.snapshot}
    of_tags = pipeline_runs.own_tags(
        tx,
        pipeline_ids,
        {PARENT_TAG, CONFIRM_TAG, NAME, *tags},
        snapshots=[number for number in snapshots.values() if number is not None],
    )
    iids = {one.eid: one.iid for one in found.values()}
    return {
        pipeline_id: [
            *(_gone(one) for one in stones.get(pipeline_id, ())),
            *(
                _run(
                    found[iid],
                    its_jobs,
                    found[iid].experiment_name or names[found[iid].experiment_iid],
                    of_tags.get(snapshots.get(iid) or iid, {}),
                    iids,
                    fates[iid],
                )
                for iid, its_jobs in sorted(tied.get(pipeline_id, {}).items())
                if iid in found
            ),
        ]
        for pipeline_id in {**tied, **stones}
    }


def local(tx: Transaction, shas: Sequence[str], *, limit: int) -> list[Run]:
    """Fetch the newest runs of these commits that no job has made, with what was logged. Five statements."""
    found = pipeline_runs.without_job(tx, shas, limit=limit)
    if not found:
        return []
    names = experiments.names_of(tx, {one.experiment_iid for one in found})
    runs = [Run(one.iid, one.name, RunState.LOCAL, {}, {}, experiment=names[one.experiment_iid]) for one in found]
    return filled(tx, runs)


def filled(tx: Transaction, runs: Sequence[Run]) -> list[Run]:
    """Add parameters, latest metrics and datasets. Three statements."""
    iids = [run.evidence_iid for run in runs]
    if not iids:
        return []
    of_params = params.of(tx, iids)
    of_metrics = metrics.latest_of(tx, iids)
    of_datasets = pipeline_runs.datasets(tx, iids)
    return [
        replace(
            run,
            params=dict(of_params.get(run.evidence_iid, [])),
            metrics={point.key: point.value for point in of_metrics.get(run.evidence_iid, [])},
            datasets=of_datasets.get(run.evidence_iid, {}),
        )
        for run in runs
    ]


def job_outcome_of(
    candidate: Candidate,
    tied: Sequence[TiedJob],
    attempts: Mapping[tuple[int, str], str | None],
    *,
    as_baseline: bool,
) -> JobOutcome:
    """Tell what became of a candidate: by its jobs, since a client may die without a word or say that all is well.

    In its own pipeline GitLab's word counts: the newest attempt of a job, and all jobs of the run. As a baseline it
    stays what it was once proved to be, until something newer is proved.
    """
    if not any(job.verified for job in tied):
        return JobOutcome(RunState.UNVERIFIED)
    if candidate.discarded:
        return JobOutcome(RunState.DELETED)
    creators = [job for job in tied if job.part is Part.CREATOR]
    if any(job.retried and not (as_baseline and _lost(job, attempts)) for job in creators):
        return JobOutcome(RunState.SUPERSEDED)
    early, late = [job for job in tied if not job.late], [job for job in tied if job.late]
    if candidate.snapshot_iid is not None and any(job.overdue for job in tied):
        return JobOutcome(_of_jobs(early, attempts), snapshot=True)
    state = _state(candidate, tied, attempts)
    proved = candidate.snapshot_iid is not None and late and _of_jobs(early, attempts) is RunState.SUCCEEDED
    stays = as_baseline or (state is not RunState.RUNNING and not _is_veto(late, attempts))
    return (
        JobOutcome(RunState.SUCCEEDED, snapshot=True)
        if proved and stays and state is not RunState.SUCCEEDED
        else JobOutcome(state)
    )


def _is_veto(late: Sequence[TiedJob], attempts: Mapping[tuple[int, str], str | None]) -> bool:
    """Tell whether one of the jobs that came late says no by its failure. One that GitLab lets fail, or that came when
    all of the pipeline was over, does not.
    """
    lost = [job for job in late if _status(job, attempts) != SUCCEEDED]
    return not all(job.allow_failure or job.after_pipeline for job in lost)


def _state(candidate: Candidate, tied: Sequence[TiedJob], attempts: Mapping[tuple[int, str], str | None]) -> RunState:
    by_jobs = _of_jobs(tied, attempts)
    if by_jobs in (RunState.FAILED, RunState.CANCELED):
        return by_jobs
    if candidate.status in (Status.FAILED, Status.KILLED):
        return RunState.FAILED if candidate.status is Status.FAILED else RunState.CANCELED
    if candidate.detached_until_ms is not None and not candidate.status.ended:
        return RunState.RUNNING  # its jobs are over, its training is not
    return by_jobs


def _of_jobs(tied: Sequence[TiedJob], attempts: Mapping[tuple[int, str], str | None]) -> RunState:
    statuses = [_status(job, attempts) for job in tied]
    for status in statuses:
        if status in _STATES:
            return _STATES[status]
    return RunState.SUCCEEDED if all(status == SUCCEEDED for status in statuses) else RunState.RUNNING


def _status(job: TiedJob, attempts: Mapping[tuple[int, str], str | None]) -> str | None:
    """Answer a job's status; of a later job of the run that was retried, its newest attempt's."""
    if job.retried and job.part is Part.CONTRIBUTOR and job.name is not None:
        return attempts.get((job.pipeline_id, job.name), job.status)
    return job.status


def _lost(job: TiedJob, attempts: Mapping[tuple[int, str], str | None]) -> bool:
    """Tell whether a job's newest attempt has not succeeded, or not yet: then nothing newer is proved."""
    return job.name is not None and attempts.get((job.pipeline_id, job.name)) not in (None, SUCCEEDED)


def _run(
    candidate: Candidate,
    tied: Sequence[TiedJob],
    experiment: str,
    tags: dict[str, str],
    iids: dict[str, int],
    fate: JobOutcome,
) -> Run:
    creator = tied[0]
    return Run(
        candidate.iid,
        tags.get(NAME) or candidate.name,
        fate.state,
        {},
        {},
        creator.job_id,
        creator.name or f"job {creator.job_id}",
        creator.web_url or "",
        experiment=experiment,
        tags=tags,
        parent_iid=iids.get(tags.get(PARENT_TAG, "")),
        deleted=candidate.stage is Stage.DELETED,
        snapshot_iid=candidate.snapshot_iid if fate.snapshot else None,
    )


def _gone(stone: Tombstone) -> Run:
    state = RunState.GONE if stone.state == RunState.SUCCEEDED else RunState(stone.state)
    return Run(
        stone.candidate_iid,
        stone.name,
        state,
        {},
        {},
        experiment=stone.experiment,
        tags=stone.tags,
        deleted=True,
        gone=Gone(stone.removed_by, stone.removed_ms),
    )
