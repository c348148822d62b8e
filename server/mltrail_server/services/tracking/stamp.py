"""Tie candidates to the jobs that make them: written by the server, from what a verified token proves.

It works for every client and every call, also where MLflow adds no context of its own (`MlflowClient.create_run`, raw
REST, R, Java). Clients can't write the stamp's keys. The values stand as metadata too, so that MLflow clients see and
search them; what gate and promotion trust is the table `candidate_job` alone.
"""

from collections.abc import Iterable, Mapping

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import MltrailError, forbidden, invalid
from mltrail_server.domain.identity import TokenKind, VerifiedClaims
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.ci import child_pipelines, due, jobs, pipelines
from mltrail_server.store.ci.jobs import JobTie, Lateness, Part
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.logged_models import LoggedModel

from . import evidence, job_claims
from .evidence import WriteKind

KEYS = frozenset(
    {
        gitlab_ci.JOB_TAG,
        "gitlab.CI_JOB_URL",
        "gitlab.CI_PIPELINE_ID",
        "gitlab.CI_PIPELINE_URL",
        "gitlab.CI_PIPELINE_SOURCE",
        "gitlab.CI_PROJECT_ID",
        "gitlab.CI_PROJECT_PATH",
        "gitlab.CI_COMMIT_SHA",
        "gitlab.CI_COMMIT_REF_NAME",
        "gitlab.verified",
        gitlab_ci.MERGE_REQUEST_TAG,
    }
)

_FIRST_LOOK_MS = 5 * 60_000
"""A pipeline is looked at this long after its candidate began, in case the job dies without a word."""

_CHILD_LOOK_MS = 10_000
"""A child pipeline is looked at soon, so that its root is known when another job of the family writes."""

_END_LOOK_MS = 15_000
"""And this long after a candidate has ended: its job has some tidying up to do, and the next trial may end, too."""


def on_create(
    tx: Transaction, scope: Scope, candidate_iid: int, tags: Mapping[str, str], claim: gitlab_ci.Job | None = None
) -> dict[str, str]:
    """Tie a new candidate to the job that makes it, or to the one that was claimed and looked up, and answer the tags
    that shall be stored.

    What the client sent under the stamp's keys (MLFLOW_RUN_CONTEXT sends some) gives way to the truth.
    """
    on_ownerless(scope)
    job = scope.actor.job
    if job is None:
        own = {key: value for key, value in tags.items() if key not in _kept(scope)}
        return own | (_claimed(tx, scope, candidate_iid, claim) if claim is not None else {})
    if not scope.deps.job_cache.knows_job(scope.project_id, job.job_id):
        pipelines.ensure(tx, job)
    _tie(tx, scope, candidate_iid, job, Part.CREATOR)
    if scope.actor.unchecked:
        jobs.flag(tx, candidate_iid, job.job_id, at=tx.now)
    if scope.deps.job_cache.note_activity(scope.project_id, job.pipeline_id, tx.now):
        root = _root(tx, job)
        unknown = job.pipeline_source == gitlab_ci.CHILD and root == job.pipeline_id
        _look(tx, root, in_ms=_CHILD_LOOK_MS if unknown else _FIRST_LOOK_MS)
    return {key: value for key, value in tags.items() if key not in KEYS} | _truth(scope, job)


def on_write(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> int:
    """Note who writes to a candidate that exists, and answer the number under which it is to be stored.

    Its own jobs write to the candidate itself, and so does everybody where no job's token vouches for it. Another job
    of its pipeline contributes. Everybody else, and a detached candidate's own token once the candidate has ended,
    writes beside it: see `amendments`. `tags` are the keys of tags that are written. Raises FORBIDDEN for a token that
    is for another candidate, and for others than its own jobs where it is of a protected ref.
    """
    if scope.actor.candidate_iid not in (None, candidate.iid):
        raise _for_one_alone()
    job = scope.actor.job
    if scope.actor.kind is TokenKind.DETACHED and candidate.status.ended:
        # Its token may live on for weeks. What was reported and reviewed must not change under it.
        return evidence.add(tx, scope, candidate, kinds, tags)
    if job is not None and scope.deps.job_cache.knows_tie(scope.project_id, candidate.iid, job.job_id):
        _flag(tx, scope, candidate, job)
        return candidate.iid
    links = _verified(tx, scope, candidate.iid)
    if not links:
        return candidate.iid
    if job is None or not _is_of(tx, job, links):
        return evidence.add(tx, scope, candidate, kinds, tags)
    if any(link.job_id == job.job_id for link in links):
        scope.deps.job_cache.remember(scope.project_id, candidate.iid, job.job_id)
    else:
        lateness = evidence.snapshot_before_late_job(tx, candidate, links[0].pipeline_id)
        _tie(tx, scope, candidate.iid, job, Part.CONTRIBUTOR, lateness)
    _flag(tx, scope, candidate, job)
    return candidate.iid


def may_measure(tx: Transaction, scope: Scope, source: Candidate) -> bool:
    """Tell whether the caller says what a logged model of a candidate is worth: a job of the pipelines that made it
    does, and everybody where no job's token vouches for it. What a promoted version rests on, nobody changes.
    """
    if source.promoted and protection.freezes(scope):
        return False
    links = _verified(tx, scope, source.iid)
    if not links:
        return True
    job = scope.actor.job
    return job is not None and scope.actor.candidate_iid is None and _is_of(tx, job, links)


def is_of_pipeline(tx: Transaction, scope: Scope, candidate: Candidate) -> bool:
    """Tell whether a job of a pipeline that made the candidate asks."""
    links = [link for link in jobs.ties_of(tx, candidate.iid) if link.verified]
    return scope.actor.job is not None and _is_of(tx, scope.actor.job, links)


def _is_of(tx: Transaction, job: VerifiedClaims, links: Iterable[JobTie]) -> bool:
    root = _root(tx, job)
    return any(link.pipeline_id in (job.pipeline_id, root) for link in links)


def on_model_write(tx: Transaction, scope: Scope, model: LoggedModel, source: Candidate, *, note: bool = False) -> None:
    """Note who writes to a logged model of a candidate. What the candidate's own jobs have logged is evidence, to which
    others may add tags only: raises FORBIDDEN otherwise. What others have logged is theirs to write to.
    """
    number = on_write(tx, scope, source, {WriteKind.TAGS if note else WriteKind.MODELS})
    if number != source.iid and not (note or model.beside):
        raise forbidden(
            f"The logged model {model.model_id} was made by CI jobs, and stays as they logged it. Log a model to "
            "a run of your own instead."
        )


def is_own(tx: Transaction, scope: Scope, candidate: Candidate, *, created: bool = False) -> bool:
    """Tell whether a job of the candidate asks; with `created` the very job that made it."""
    job = scope.actor.job
    if job is None:
        return False
    return any(
        link.verified and link.job_id == job.job_id and (link.part is Part.CREATOR or not created)
        for link in jobs.ties_of(tx, candidate.iid)
    )


def on_ownerless(scope: Scope) -> None:
    """Look who makes something that belongs to no candidate yet. Raises FORBIDDEN for a token that is for one alone."""
    if scope.actor.candidate_iid is not None:
        raise _for_one_alone()


def _for_one_alone() -> MltrailError:
    return forbidden(
        "This token is for one detached run alone. Set MLFLOW_RUN_ID to that run, as `mltrail detach` says, and begin "
        "no other."
    )


def on_end(tx: Transaction, scope: Scope, candidate_iid: int) -> None:
    """Have the candidate's pipelines looked at, now that the candidate has ended."""
    for pipeline_id in {link.pipeline_id for link in _links(tx, scope, candidate_iid)}:
        _look(tx, pipeline_id, in_ms=_END_LOOK_MS)


def on_tags(
    tx: Transaction, scope: Scope, candidate_iid: int, tags: Mapping[str, str], claim: gitlab_ci.Job | None = None
) -> dict[str, str]:
    """Check tags that a client sets on a candidate that exists, and answer those that shall be stored. `claim` is the
    job that they claim, looked up.

    Raises INVALID for a key that only the server may write.
    """
    truth = _truth(scope, scope.actor.job) if scope.actor.job else {}
    if claim is not None:
        links = jobs.ties_of(tx, candidate_iid)
        # A verified job is not talked away, nor a claim talked over: the first one counts.
        if all(not link.verified and link.job_id == claim.id for link in links):
            truth = _claimed(tx, scope, candidate_iid, claim)
    for key in _kept(scope).intersection(tags):
        if tags[key] != truth.get(key):
            raise invalid(
                f"The tag '{key}' is written by mltrail itself, from the job's token. "
                "Use another key for data of your own."
            )
    return {**tags, **truth} if claim is not None else dict(tags)


def on_delete_tag(scope: Scope, key: str) -> None:
    """Refuse to delete a tag that only the server may write."""
    if key in _kept(scope):
        raise invalid(f"The tag '{key}' is written by mltrail itself and can't be deleted.")


def _kept(scope: Scope) -> frozenset[str]:
    """Return the keys that only the server writes: none in local mode, which has no jobs to write about."""
    return KEYS if scope.deps.team is not None else frozenset()


def _verified(tx: Transaction, scope: Scope, candidate_iid: int) -> list[JobTie]:
    return [link for link in _links(tx, scope, candidate_iid) if link.verified]


def _links(tx: Transaction, scope: Scope, candidate_iid: int) -> list[JobTie]:
    """Find the jobs of a candidate. Local mode has none, and spends no statement on looking."""
    return jobs.ties_of(tx, candidate_iid) if scope.deps.team is not None else []


def _claimed(tx: Transaction, scope: Scope, candidate_iid: int, claim: gitlab_ci.Job) -> dict[str, str]:
    jobs.know(tx, claim.id, pipeline_id=claim.pipeline_id)
    jobs.tie(tx, candidate_iid, job_id=claim.id, pipeline_id=claim.pipeline_id, part=Part.CREATOR, verified=False)
    return job_claims.truth(scope.actor, scope.deps.settings.gitlab_url, claim)


def _flag(tx: Transaction, scope: Scope, candidate: Candidate, job: VerifiedClaims) -> None:
    """Remember that nobody could tell whether the job still runs: once GitLab tells when it ended, the candidate is
    judged (see `reconcile`), if need be by what it was before.
    """
    if scope.actor.unchecked:
        evidence.snapshot_before_unchecked_write(tx, candidate, job.job_id)
        jobs.flag(tx, candidate.iid, job.job_id, at=tx.now)


def _tie(
    tx: Transaction,
    scope: Scope,
    candidate_iid: int,
    job: VerifiedClaims,
    part: Part,
    lateness: Lateness = Lateness(),  # noqa: B008 - it never changes
) -> None:
    if not scope.deps.job_cache.knows_job(scope.project_id, job.job_id):
        jobs.know(tx, job.job_id, pipeline_id=job.pipeline_id)
    jobs.tie(
        tx,
        candidate_iid,
        job_id=job.job_id,
        pipeline_id=job.pipeline_id,
        counts_to=_root(tx, job),
        part=part,
        verified=True,
        lateness=lateness,
    )


def _root(tx: Transaction, job: VerifiedClaims) -> int:
    """Answer the pipeline that the job's runs count to."""
    if job.pipeline_source != gitlab_ci.CHILD:
        return job.pipeline_id
    return child_pipelines.root_of(tx, job.pipeline_id)


def _look(tx: Transaction, pipeline_id: int, *, in_ms: int) -> None:
    now = tx.now
    due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=now + in_ms)


def _truth(scope: Scope, job: VerifiedClaims) -> dict[str, str]:
    web = f"{scope.deps.settings.gitlab_url.rstrip('/')}/{job.job_project_path}/-"
    return {
        "gitlab.CI_JOB_ID": str(job.job_id),
        "gitlab.CI_JOB_URL": f"{web}/jobs/{job.job_id}",
        "gitlab.CI_PIPELINE_ID": str(job.pipeline_id),
        "gitlab.CI_PIPELINE_URL": f"{web}/pipelines/{job.pipeline_id}",
        "gitlab.CI_PIPELINE_SOURCE": job.pipeline_source,
        "gitlab.CI_PROJECT_ID": str(job.job_project_id),
        "gitlab.CI_PROJECT_PATH": job.job_project_path,
        "gitlab.CI_COMMIT_SHA": job.sha,
        "gitlab.CI_COMMIT_REF_NAME": job.ref,
        "gitlab.verified": "true",
    }
