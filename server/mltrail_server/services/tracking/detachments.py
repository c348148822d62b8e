"""Candidates that outlive their job, because it launches a training elsewhere and ends."""

from dataclasses import dataclass

from mltrail_server.domain import detachment
from mltrail_server.domain.errors import Code, MltrailError, forbidden, invalid
from mltrail_server.domain.identity import Actor, TokenKind
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import due
from mltrail_server.store.tracking import candidates as store
from mltrail_server.store.tracking.candidates import Candidate

from . import candidates, experiments, stamp
from .evidence import WriteKind

_LONGEST_MS = 30 * 24 * 3_600_000
_SHORTEST_MS = 60_000

# The only writing routes that a token for one candidate is allowed.
ROUTES = frozenset(
    {
        "runs/update",
        "runs/log-metric",
        "runs/log-parameter",
        "runs/set-tag",
        "runs/delete-tag",
        "runs/log-batch",
        "runs/log-inputs",
        "runs/outputs",
        "runs/log-model",
        "upload-artifact",
        "artifacts/presigned-upload-url",
        "logged-models",
        "logged-models/<model_id>",
        "logged-models/<model_id>/tags",
        "logged-models/<model_id>/tags/<path:tag_key>",
        "logged-models/<model_id>/params",
        "traces",
        "traces/<trace_id>",
        "traces/<trace_id>/tags",
        "traces/<trace_id>/assessments",
        "traces/link-to-run",
        "traces/link-prompts",
        "/v1/traces",
        "artifacts/<path:path>",
        "mpu/create/<path:path>",
        "mpu/complete/<path:path>",
        "mpu/abort/<path:path>",
    }
)


@dataclass(frozen=True, slots=True)
class DetachedRun:
    candidate: Candidate
    token: str
    until_ms: int


def detach(scope: Scope, *, eid: str | None, experiment: str | None, name: str | None, for_ms: int) -> DetachedRun:
    """Give a candidate of this job, or a new one, a token of its own and the time by which it must have ended.

    Until then it goes on after its job has ended, its job can no longer end it, and gate and promotion wait for it.
    Raises FORBIDDEN for a caller that is no job, INVALID for a time out of bounds, NOT_FOUND for an unknown run.
    """
    job = scope.actor.job
    if job is None or scope.actor.kind is TokenKind.DETACHED:
        raise forbidden(
            "Only a CI job detaches a run, with its ID token (`id_tokens:`): a run of a person ends when they say so."
        )
    if not _SHORTEST_MS <= for_ms <= _LONGEST_MS:
        raise invalid("A run is detached for a minute at least, and for 30 days at most.")
    if eid is None:
        eid = _create(scope, experiment, name)
    until = scope.now + for_ms
    with scope.project.write() as tx:
        existing = store.get(tx, eid)
        if existing is not None and not stamp.is_of_pipeline(tx, scope, existing):
            raise invalid(f"The run {eid} is not of this job's pipeline. Detach a run that this job has begun.")
        candidate, _ = candidates.writable(tx, scope, eid, {WriteKind.STATUS})
        store.change(tx, candidate.iid, detached_until_ms=until)
        due.mark(tx, kind=due.PIPELINE, key=job.pipeline_id, at=until + _SHORTEST_MS)
    secret = scope.deps.settings.secret_key
    return DetachedRun(candidate, detachment.sign(job, candidate.iid, until_ms=until, secret=secret), until)


def check_route(actor: Actor, path: str) -> None:
    """Raise FORBIDDEN for a token for one candidate on any other route. `stamp.on_write` checks the candidate."""
    if actor.candidate_iid is not None and path not in ROUTES:
        raise forbidden(
            "This token logs to one detached run and does nothing else. New runs, experiments, models and aliases take "
            "a job's own token."
        )


def _create(scope: Scope, experiment: str | None, name: str | None) -> str:
    if not experiment:
        raise invalid(Reason.NO_RUN_TO_DETACH)
    try:
        experiment_iid = experiments.get_by_name(scope, experiment).iid
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
        experiment_iid = experiments.create(scope, name=experiment)
    return candidates.create(scope, experiment_iid=experiment_iid, name=name).candidate.eid
