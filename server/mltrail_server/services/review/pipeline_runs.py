"""The runs of pipelines, and what became of each, judged by its jobs."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.gitlab_ci import SUCCEEDED
from mltrail_server.domain.grouping import Gone, Run, RunState
from mltrail_server.domain.prompts import LINKED_TAG
from mltrail_server.domain.run_tags import CONFIRM_TAG, EVALUATES_TAG, PARENT_TAG
from mltrail_server.domain.selection import model_of
from mltrail_server.domain.trials import RUN_TYPE_TAG, TEST_SESSION
from mltrail_server.store.ci import jobs
from mltrail_server.store.ci.jobs import JobPart, TiedJob
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.review import pipeline_runs, tombstones
from mltrail_server.store.review.tombstones import Tombstone
from mltrail_server.store.tracking import experiments, metrics, params
from mltrail_server.store.tracking.candidates import Candidate

from . import trace_metrics

EVALUATION_TAGS = (
    RUN_TYPE_TAG,
    "mlflow.genaiEvaluate.qualityCriteria",  # in MLflow 3.18
    "mlflow.genaiEvaluate.qualityThresholds",  # in its documentation of 3.17
)
"""What a run says about itself as an evaluation."""

_RUN_NAME_TAG = "mlflow.runName"
_STATES = {
    "failed": RunState.FAILED,
    "canceled": RunState.CANCELED,
    "skipped": RunState.CANCELED,
    "deleted": RunState.CANCELED,
}
_Attempts = Mapping[tuple[int, str], str | None]
"""The status of a job's newest attempt, by pipeline and name of the job, for jobs that were retried."""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What became of a run. `snapshot`: what counts is how it was before a later job of its pipeline wrote to it.
    `had_succeeded`: it did, until its job was retried. `its_own_word`: its jobs have succeeded, and only the client
    says that it failed.
    """

    state: RunState
    snapshot: bool = False
    had_succeeded: bool = False
    its_own_word: bool = False


def of_pipeline(tx: Transaction, pipeline_id: int, *, as_baseline: bool = False) -> dict[str, list[Run]]:
    """Fetch a pipeline's runs by their experiment's name, which is the model's unless a contract file says otherwise.

    Nine statements.
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
    if jobs were retried.

    Deleted runs are included, and of those removed for good what their tombstones say. As a baseline a run remains what
    it was once proved to be: see `run_outcome`.
    """
    tied = pipeline_runs.tied_in(tx, pipeline_ids)
    stones = tombstones.of_pipelines(tx, pipeline_ids)
    if not tied:
        return {pipeline_id: [_gone(stone) for stone in its_stones] for pipeline_id, its_stones in stones.items()}
    listed = pipeline_runs.candidates(tx, pipeline_ids, stages=tuple(Stage))
    candidates = {candidate.iid: candidate for candidate in listed}
    names = experiments.names_of(tx, {candidate.experiment_iid for candidate in listed})
    outcomes = _outcomes(tx, candidates, tied, as_baseline=as_baseline)
    wanted = {PARENT_TAG, CONFIRM_TAG, EVALUATES_TAG, _RUN_NAME_TAG, LINKED_TAG, *EVALUATION_TAGS, *tags}
    tags_of = _tags(tx, pipeline_ids, wanted, candidates, outcomes)
    iids = {candidate.eid: candidate.iid for candidate in listed}
    runs = {pipeline_id: [_gone(stone) for stone in stones.get(pipeline_id, ())] for pipeline_id in {**tied, **stones}}
    for pipeline_id, of_candidate in tied.items():
        for iid, its_jobs in sorted(of_candidate.items()):
            if iid in candidates:
                candidate = candidates[iid]
                experiment = candidate.experiment_name or names[candidate.experiment_iid]
                runs[pipeline_id].append(_run(candidate, its_jobs, experiment, tags_of[iid], iids, outcomes[iid]))
    return runs


def local(tx: Transaction, shas: Sequence[str], *, limit: int) -> list[Run]:
    """Fetch the newest runs of these commits that no job has made, with what was logged to them. Six statements."""
    found = pipeline_runs.without_job(tx, shas, limit=limit)
    if not found:
        return []
    names = experiments.names_of(tx, {one.experiment_iid for one in found})
    runs = [Run(one.iid, one.name, RunState.LOCAL, {}, {}, experiment=names[one.experiment_iid]) for one in found]
    return filled(tx, runs)


def filled(tx: Transaction, runs: Sequence[Run]) -> list[Run]:
    """Add parameters, latest metrics and datasets, and what their traces have taken. Four statements, and up to three
    more if runs have traces.
    """
    iids = [run.evidence_iid for run in runs]
    if not iids:
        return []
    of_params = params.of(tx, iids)
    of_metrics = metrics.latest_of(tx, iids)
    of_datasets = pipeline_runs.datasets(tx, iids)
    of_traces = trace_metrics.of(tx, runs)
    return [
        replace(
            run,
            params=dict(of_params.get(run.evidence_iid, [])),
            metrics={point.key: point.value for point in of_metrics.get(run.evidence_iid, [])}
            | of_traces.get(run.iid, {}),
            datasets=of_datasets.get(run.evidence_iid, {}),
        )
        for run in runs
    ]


def run_outcome(candidate: Candidate, tied: Sequence[TiedJob], attempts: _Attempts, *, as_baseline: bool) -> RunOutcome:
    """Judge what became of a run: by its jobs, since a client may die silently or claim success.

    In its own pipeline GitLab decides: the newest attempt of a job, and all jobs of the run. As a baseline the run
    remains what it was once proved to be, until something newer is proved.
    """
    if candidate.origin_id is not None or not any(job.verified for job in tied):
        return RunOutcome(RunState.UNVERIFIED)
    if candidate.discarded:
        return RunOutcome(RunState.DELETED)
    creators = [job for job in tied if job.part is JobPart.CREATOR]
    if candidate.snapshot_iid is None:
        by_jobs = _state_by_jobs(tied, attempts)
        failed = by_jobs is RunState.SUCCEEDED and candidate.status is Status.FAILED
        outcome = RunOutcome(_state(candidate, tied, attempts), its_own_word=failed)
    else:
        outcome = _outcome_with_snapshot(candidate, tied, attempts, as_baseline=as_baseline)
    if any(job.retried and not (as_baseline and _is_unproved(job, attempts)) for job in creators):
        had_succeeded = outcome.state is RunState.SUCCEEDED
        return RunOutcome(RunState.SUPERSEDED, outcome.snapshot and had_succeeded, had_succeeded)
    return outcome


def _outcome_with_snapshot(
    candidate: Candidate, tied: Sequence[TiedJob], attempts: _Attempts, *, as_baseline: bool
) -> RunOutcome:
    """Decide whether a run counts as it is, or as it was before later jobs wrote to it."""
    early, late = [job for job in tied if not job.late], [job for job in tied if job.late]
    before = _state_by_jobs(early, attempts)
    if any(job.overdue for job in tied):
        return RunOutcome(before, snapshot=True)
    state = _state(candidate, tied, attempts)
    if state is RunState.SUCCEEDED or not late or before is not RunState.SUCCEEDED:
        return RunOutcome(state)
    stays = as_baseline or (state is not RunState.RUNNING and not _is_veto(late, attempts))
    return RunOutcome(RunState.SUCCEEDED, snapshot=True) if stays else RunOutcome(state)


def _is_veto(late: Sequence[TiedJob], attempts: _Attempts) -> bool:
    """Whether the failure of a late job counts against the run. It does not if GitLab allows the job to fail, or if the
    job started after the whole pipeline had ended.
    """
    failed = [job for job in late if _status(job, attempts) != SUCCEEDED]
    return not all(job.allow_failure or job.after_pipeline for job in failed)


def _state(candidate: Candidate, tied: Sequence[TiedJob], attempts: _Attempts) -> RunState:
    by_jobs = _state_by_jobs(tied, attempts)
    if by_jobs in (RunState.FAILED, RunState.CANCELED):
        return by_jobs
    if candidate.status in (Status.FAILED, Status.KILLED):
        return RunState.FAILED if candidate.status is Status.FAILED else RunState.CANCELED
    if candidate.detached_until_ms is not None and not candidate.status.ended:
        return RunState.RUNNING  # its jobs have ended, its training has not
    return by_jobs


def _state_by_jobs(tied: Sequence[TiedJob], attempts: _Attempts) -> RunState:
    statuses = [_status(job, attempts) for job in tied]
    for status in statuses:
        if status in _STATES:
            return _STATES[status]
    return RunState.SUCCEEDED if all(status == SUCCEEDED for status in statuses) else RunState.RUNNING


def _status(job: TiedJob, attempts: _Attempts) -> str | None:
    """Return a job's status; for a retried job that did not create the run, its newest attempt's."""
    if job.retried and job.part is JobPart.CONTRIBUTOR and job.name is not None:
        return attempts.get((job.pipeline_id, job.name), job.status)
    return job.status


def _is_unproved(job: TiedJob, attempts: _Attempts) -> bool:
    """Whether a job's newest attempt has not succeeded, or not yet: then it proves nothing newer."""
    return job.name is not None and attempts.get((job.pipeline_id, job.name)) not in (None, SUCCEEDED)


def _outcomes(
    tx: Transaction,
    candidates: Mapping[int, Candidate],
    tied: Mapping[int, Mapping[int, Sequence[TiedJob]]],
    *,
    as_baseline: bool,
) -> dict[int, RunOutcome]:
    """Judge what became of all candidates of some pipelines. `tied` are their jobs, by pipeline and candidate."""
    attempts = jobs.newest_attempts(
        tx, [job for of_candidate in tied.values() for its_jobs in of_candidate.values() for job in its_jobs]
    )
    return {
        iid: run_outcome(candidates[iid], its_jobs, attempts, as_baseline=as_baseline)
        for of_candidate in tied.values()
        for iid, its_jobs in of_candidate.items()
        if iid in candidates
    }


def _tags(
    tx: Transaction,
    pipeline_ids: Sequence[int],
    keys: AbstractSet[str],
    candidates: Mapping[int, Candidate],
    outcomes: Mapping[int, RunOutcome],
) -> dict[int, dict[str, str]]:
    """Read some tags of candidates, from the snapshot of each whose snapshot counts."""
    snapshots = {iid: candidates[iid].snapshot_iid for iid, outcome in outcomes.items() if outcome.snapshot}
    stored = pipeline_runs.own_tags(
        tx, pipeline_ids, keys, snapshots=[number for number in snapshots.values() if number is not None]
    )
    return {iid: stored.get(snapshots.get(iid) or iid, {}) for iid in outcomes}


def _run(
    candidate: Candidate,
    tied: Sequence[TiedJob],
    experiment: str,
    tags: dict[str, str],
    iids: dict[str, int],
    outcome: RunOutcome,
) -> Run:
    creator = tied[0]
    # A session of tests fails if one test does, which is what it is there to say: that is a result like any other.
    of_tests = outcome.its_own_word and tags.get(RUN_TYPE_TAG) == TEST_SESSION
    return Run(
        candidate.iid,
        tags.get(_RUN_NAME_TAG) or candidate.name,
        RunState.SUCCEEDED if of_tests else outcome.state,
        {},
        {},
        creator.job_id,
        creator.name or f"job {creator.job_id}",
        creator.web_url or "",
        experiment=experiment,
        tags=tags,
        parent_iid=iids.get(tags.get(PARENT_TAG, "")),
        deleted=candidate.stage is Stage.DELETED,
        snapshot_iid=candidate.snapshot_iid if outcome.snapshot else None,
        eid=candidate.eid,
        had_succeeded=outcome.had_succeeded,
        amended=candidate.amendment_iid is not None,
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
