"""Tie candidates to the jobs that make them: written by the server, from what a verified token proves.

It works for every client and every call, also where MLflow adds no context of its own (`MlflowClient.create_run`, raw
REST, R, Java). Clients can't write the stamp's keys. MLflow clients see and search the values as tags too, but gate and
promotion trust only the table `candidate_job`.

A client without a job's token names its job by the tag `gitlab.CI_JOB_ID`, as GitLab has it. mltrail looks the job up
in this project and shows it as claimed, never as verified: anyone who may write to the project can name any job.
"""

from collections.abc import Iterable, Mapping

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, forbidden, invalid
from mltrail_server.domain.identity import TokenKind, VerifiedClaims
from mltrail_server.domain.origins import IMPORTED_TAG
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.ci import child_pipelines, due, jobs, pipelines
from mltrail_server.store.ci.jobs import JobPart, JobTie, Lateness
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking.at_once import Tie, Vouching
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.logged_models import LoggedModel

from . import evidence
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
        IMPORTED_TAG,
    }
)
_FIRST_LOOK_MS = 5 * 60_000
"""How long after a candidate began its pipeline is looked at, in case the job dies without a word."""
_CHILD_LOOK_MS = 10_000
"""A child pipeline is looked at sooner, so that its root is known when another job below that root writes."""
_MADE_BY_JOBS = "was made by CI jobs, and stays as they logged it"
END_LOOK_MS = 15_000
"""How long after a candidate ended it is looked at: its job has some tidying up to do, and the next trial may end."""


def look_up_claim(scope: Scope, tags: Mapping[str, str]) -> gitlab_ci.Job | None:
    """Return the job that a client claims by its tags; None when it claims none, or proves its own by a token. Asks
    GitLab, so call it before a transaction begins.

    Raises INVALID for a job that this project does not have, UNAVAILABLE when GitLab does not answer.
    """
    job_id = tags.get(gitlab_ci.JOB_TAG)
    if job_id is None or scope.actor.job is not None or scope.deps.team is None:
        return None
    try:
        if job_id.isascii() and job_id.isdigit() and 0 < len(job_id) < 19:
            return scope.deps.team.gitlab.job(scope.project_id, int(job_id))
    except MltrailError as error:
        if error.code is Code.UNAVAILABLE:
            raise
    raise invalid(
        f"The tag '{gitlab_ci.JOB_TAG}' must name a job of {scope.actor.project_path}, and '{job_id[:40]}' is none "
        "that mltrail can see there. In a CI job leave the tag away and use an ID token (`id_tokens:`): then the run "
        "is tied by itself."
    )


def on_create(
    tx: Transaction, scope: Scope, candidate_iid: int, claim: gitlab_ci.Job | None = None, *, looks: bool
) -> None:
    """Tie a new candidate to the job that makes it, or to the job that was claimed. With `looks`, schedule a look at
    the job's pipeline: see `note_look`.
    """
    check_may_begin(scope)
    job = scope.actor.job
    if job is None:
        if claim is not None:
            tie_claimed(tx, candidate_iid, claim)
        return
    if not scope.deps.job_cache.knows_job(scope.project_id, job.job_id):
        pipelines.ensure(tx, job)
    _tie(tx, scope, candidate_iid, job, JobPart.CREATOR)
    if scope.actor.unchecked:
        jobs.flag(tx, candidate_iid, job.job_id, at=tx.now)
    if looks:
        root = _root(tx, job)
        unknown = job.pipeline_source == gitlab_ci.CHILD and root == job.pipeline_id
        _schedule_look(tx, root, in_ms=_CHILD_LOOK_MS if unknown else _FIRST_LOOK_MS)


def note_look(scope: Scope) -> bool:
    """Return whether a call that creates a candidate has to schedule a look at its job's pipeline, and if so, note that
    it does: see `not_created`. Don't call this in work that may be done twice.
    """
    job = scope.actor.job
    return job is not None and scope.deps.job_cache.note_activity(scope.project_id, job.pipeline_id, scope.now)


def created(scope: Scope, candidate: Candidate) -> None:
    """Remember the tie of a new candidate that is stored for good."""
    if scope.actor.job is not None:
        scope.deps.job_cache.remember(scope.project_id, candidate.iid, scope.actor.job.job_id)


def not_created(scope: Scope) -> None:
    """Forget that a look at the job's pipeline was scheduled: it was rolled back with the call."""
    if scope.actor.job is not None:
        scope.deps.job_cache.forget_activity(scope.project_id, scope.actor.job.pipeline_id)


def vouching(scope: Scope) -> Vouching | None:
    """Return whose candidates the caller writes to as their own, if that can be seen in the candidate's rows; None if
    it takes more, which `on_write` does.
    """
    actor = scope.actor
    if actor.candidate_iid is not None or actor.unchecked or actor.kind is TokenKind.DETACHED:
        return None
    if scope.deps.team is None:
        return Vouching.ANYBODY
    return Vouching.NOBODY if actor.job is None else Vouching.JOB


def ties_at_once(scope: Scope) -> bool:
    """Return whether all that `on_create` would read is known: see `tie_at_once`."""
    actor = scope.actor
    of_child = actor.job is not None and actor.job.pipeline_source == gitlab_ci.CHILD
    return actor.candidate_iid is None and not actor.unchecked and not of_child


def tie_at_once(scope: Scope, now: int) -> Tie | None:
    """Return how a new candidate is tied to the caller's job; None for a person. If the call fails, that has to be
    undone: see `tied_at_once`.
    """
    job, cache = scope.actor.job, scope.deps.job_cache
    if job is None:
        return None
    looks = cache.note_activity(scope.project_id, job.pipeline_id, now)
    return Tie(
        job,
        counts_to=job.pipeline_id,
        known=cache.knows_job(scope.project_id, job.job_id),
        look_at_ms=now + _FIRST_LOOK_MS if looks else None,
    )


def tied_at_once(scope: Scope, tie: Tie, candidate: Candidate | None) -> None:
    """Remember the tie of a candidate that is stored for good; None if it was not."""
    if candidate is not None:
        created(scope, candidate)
    elif tie.look_at_ms is not None:
        not_created(scope)


def tags_of_new(scope: Scope, tags: Mapping[str, str], claim: gitlab_ci.Job | None = None) -> dict[str, str]:
    """Return the tags that a candidate begins with: what the client sent under the stamp's keys (MLFLOW_RUN_CONTEXT
    sends some) is replaced by what the token proves, or by what GitLab says about the claimed job.
    """
    job = scope.actor.job
    if job is None:
        own = {key: value for key, value in tags.items() if key not in reserved(scope)}
        return own | (_tags_of_claim(scope, claim) if claim is not None else {})
    return {key: value for key, value in tags.items() if key not in KEYS} | _tags_of_job(scope, job)


def on_write(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> int:
    """Note who writes to a candidate that exists, and return the number under which to store what is written.

    The candidate's own jobs write to the candidate itself, and so does everybody if no job's token vouches for it.
    Nobody writes to one that was imported, which stays as it was elsewhere: what is written here is an amendment.
    Another job of its pipeline becomes a contributor. What anybody else writes is an amendment, kept apart from the
    evidence (see `evidence`), and so is what a detached candidate's token writes once the candidate has ended. `tags`
    are the keys of the tags that are written. Raises FORBIDDEN for a token that is for another candidate and, if the
    candidate is from a protected ref, for everybody except its own jobs.
    """
    if scope.actor.candidate_iid not in (None, candidate.iid):
        raise _wrong_candidate()
    job = scope.actor.job
    if scope.actor.kind is TokenKind.DETACHED and candidate.status.ended:
        # Its token may be valid for weeks to come. What was reported and reviewed must not change.
        return evidence.add(tx, scope, candidate, kinds, tags)
    if job is not None and scope.deps.job_cache.knows_tie(scope.project_id, candidate.iid, job.job_id):
        _flag(tx, scope, candidate, job)
        return candidate.iid
    ties = _verified(tx, scope, candidate.iid)
    if _is_imported(scope, candidate):
        return evidence.add(tx, scope, candidate, kinds, tags)
    if not ties:
        return candidate.iid
    if job is None or not _is_of(tx, job, ties):
        return evidence.add(tx, scope, candidate, kinds, tags)
    if any(tie.job_id == job.job_id for tie in ties):
        scope.deps.job_cache.remember(scope.project_id, candidate.iid, job.job_id)
    else:
        lateness = evidence.snapshot_before_late_job(tx, candidate, ties[0].pipeline_id)
        _tie(tx, scope, candidate.iid, job, JobPart.CONTRIBUTOR, lateness)
    _flag(tx, scope, candidate, job)
    return candidate.iid


def check_person(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> None:
    """Refuse a person what `on_write` would refuse, and write nothing. Raises FORBIDDEN."""
    if is_evidence(tx, scope, candidate):
        evidence.check(tx, scope, candidate, kinds, tags)


def is_evidence(tx: Transaction, scope: Scope, candidate: Candidate) -> bool:
    """Return whether a candidate is evidence, so that what anybody but its own jobs writes is kept beside it."""
    return _is_imported(scope, candidate) or bool(_verified(tx, scope, candidate.iid))


def on_model_write(tx: Transaction, scope: Scope, model: LoggedModel, source: Candidate, *, note: bool = False) -> None:
    """Note who writes to a logged model of a candidate. What the candidate's own jobs have logged is evidence, and
    others may only set its tags: raises FORBIDDEN otherwise. What others have logged they may change.
    """
    number = on_write(tx, scope, source, {WriteKind.TAGS if note else WriteKind.MODELS})
    if number != source.iid and not (note or model.beside):
        made = "was imported, and stays as it was" if _is_imported(scope, source) else _MADE_BY_JOBS
        raise forbidden(f"The logged model {model.model_id} {made}. Log a model to a run of your own instead.")


def on_tags(
    tx: Transaction, scope: Scope, candidate_iid: int, tags: Mapping[str, str], claim: gitlab_ci.Job | None = None
) -> dict[str, str]:
    """Check the tags that a client sets on a candidate that exists, and return those to store. `claim` is the job that
    they claim, looked up.

    Raises INVALID for a key that only the server may write.
    """
    stamped = proved(scope)
    if claim is not None:
        ties = jobs.ties_of(tx, candidate_iid)
        # A claim replaces neither a verified job nor an earlier claim: the first one counts.
        if all(not tie.verified and tie.job_id == claim.id for tie in ties):
            tie_claimed(tx, candidate_iid, claim)
            stamped = _tags_of_claim(scope, claim)
    for key in reserved(scope).intersection(tags):
        if tags[key] != stamped.get(key):
            raise invalid(
                f"The tag '{key}' is written by mltrail itself{_by(key)}. Use another key for data of your own."
            )
    return {**tags, **stamped} if claim is not None else dict(tags)


def _by(key: str) -> str:
    return "" if key == IMPORTED_TAG else ", from the job's token"


def on_delete_tag(scope: Scope, key: str) -> None:
    """Refuse to delete a tag that only the server may write."""
    if key in reserved(scope):
        raise invalid(f"The tag '{key}' is written by mltrail itself and can't be deleted.")


def reserved(scope: Scope) -> frozenset[str]:
    """Return the keys that only the server writes: none in local mode, which has no jobs."""
    return KEYS if scope.deps.team is not None else frozenset()


def proved(scope: Scope) -> dict[str, str]:
    """Return the stamp that the caller's token proves; nothing for a person."""
    return _tags_of_job(scope, scope.actor.job) if scope.actor.job is not None else {}


def on_end(tx: Transaction, scope: Scope, candidate_iid: int) -> None:
    """Schedule a look at the candidate's pipelines, now that the candidate has ended."""
    for pipeline_id in sorted({tie.pipeline_id for tie in _ties(tx, scope, candidate_iid)}):
        _schedule_look(tx, pipeline_id, in_ms=END_LOOK_MS)


def check_may_begin(scope: Scope) -> None:
    """Raise FORBIDDEN for a token for one candidate, when it makes something that belongs to no candidate yet."""
    if scope.actor.candidate_iid is not None:
        raise _wrong_candidate()


def is_own(tx: Transaction, scope: Scope, candidate: Candidate, *, created: bool = False) -> bool:
    """Return whether the caller is a job of the candidate; with `created`, the very job that made it."""
    job = scope.actor.job
    if job is None:
        return False
    return any(
        tie.verified and tie.job_id == job.job_id and (tie.part is JobPart.CREATOR or not created)
        for tie in jobs.ties_of(tx, candidate.iid)
    )


def is_of_pipeline(tx: Transaction, scope: Scope, candidate: Candidate) -> bool:
    """Return whether the caller is a job of a pipeline that made the candidate."""
    ties = [tie for tie in jobs.ties_of(tx, candidate.iid) if tie.verified]
    return scope.actor.job is not None and _is_of(tx, scope.actor.job, ties)


def may_measure(tx: Transaction, scope: Scope, source: Candidate) -> bool:
    """Return whether the caller's metrics count for a logged model of a candidate: those of a job of its pipelines do,
    and everybody's if no job's token vouches for it. Nobody changes what a promoted version rests on, or what was
    imported.
    """
    if _is_imported(scope, source) or (source.promoted and protection.freezes(scope)):
        return False
    ties = _verified(tx, scope, source.iid)
    if not ties:
        return True
    job = scope.actor.job
    return job is not None and scope.actor.candidate_iid is None and _is_of(tx, job, ties)


def _is_imported(scope: Scope, candidate: Candidate) -> bool:
    """Whether a candidate may become a baseline or a champion as it was imported. In local mode there are none."""
    return candidate.origin_id is not None and scope.deps.team is not None


def _is_of(tx: Transaction, job: VerifiedClaims, ties: Iterable[JobTie]) -> bool:
    root = _root(tx, job)
    return any(tie.pipeline_id in (job.pipeline_id, root) for tie in ties)


def _verified(tx: Transaction, scope: Scope, candidate_iid: int) -> list[JobTie]:
    return [tie for tie in _ties(tx, scope, candidate_iid) if tie.verified]


def _ties(tx: Transaction, scope: Scope, candidate_iid: int) -> list[JobTie]:
    """Fetch the jobs of a candidate. Local mode has none, and spends no statement on them."""
    return jobs.ties_of(tx, candidate_iid) if scope.deps.team is not None else []


def _root(tx: Transaction, job: VerifiedClaims) -> int:
    """Return the pipeline that the job's runs count to."""
    if job.pipeline_source != gitlab_ci.CHILD:
        return job.pipeline_id
    return child_pipelines.root_of(tx, job.pipeline_id)


def _tie(
    tx: Transaction,
    scope: Scope,
    candidate_iid: int,
    job: VerifiedClaims,
    part: JobPart,
    lateness: Lateness = Lateness(),  # noqa: B008 - it never changes
) -> None:
    if not scope.deps.job_cache.knows_job(scope.project_id, job.job_id):
        jobs.ensure(tx, job.job_id, pipeline_id=job.pipeline_id)
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


def tie_claimed(tx: Transaction, candidate_iid: int, claim: gitlab_ci.Job) -> None:
    """Tie a candidate to a job that is claimed, and was looked up in this project: it is never verified."""
    jobs.ensure(tx, claim.id, pipeline_id=claim.pipeline_id)
    jobs.tie(tx, candidate_iid, job_id=claim.id, pipeline_id=claim.pipeline_id, part=JobPart.CREATOR, verified=False)


def _flag(tx: Transaction, scope: Scope, candidate: Candidate, job: VerifiedClaims) -> None:
    """Remember that GitLab could not say whether the job still runs. Once it says when the job ended, the candidate is
    judged (see `reconcile`), by its earlier snapshot if the job had ended before it wrote.
    """
    if scope.actor.unchecked:
        evidence.snapshot_before_unchecked_write(tx, candidate, job.job_id)
        jobs.flag(tx, candidate.iid, job.job_id, at=tx.now)


def _schedule_look(tx: Transaction, pipeline_id: int, *, in_ms: int) -> None:
    due.mark(tx, kind=due.PIPELINE, key=pipeline_id, at=tx.now + in_ms)


def _tags_of_job(scope: Scope, job: VerifiedClaims) -> dict[str, str]:
    settings, path = scope.deps.settings, job.job_project_path
    return {
        "gitlab.CI_JOB_ID": str(job.job_id),
        "gitlab.CI_JOB_URL": links.job(settings, path, job.job_id),
        "gitlab.CI_PIPELINE_ID": str(job.pipeline_id),
        "gitlab.CI_PIPELINE_URL": links.pipeline(settings, path, job.pipeline_id),
        "gitlab.CI_PIPELINE_SOURCE": job.pipeline_source,
        "gitlab.CI_PROJECT_ID": str(job.job_project_id),
        "gitlab.CI_PROJECT_PATH": job.job_project_path,
        "gitlab.CI_COMMIT_SHA": job.sha,
        "gitlab.CI_COMMIT_REF_NAME": job.ref,
        "gitlab.verified": "true",
    }


def _tags_of_claim(scope: Scope, job: gitlab_ci.Job) -> dict[str, str]:
    """Return the tags that show a claimed job: `gitlab.verified` is none of them."""
    settings, path = scope.deps.settings, scope.actor.project_path
    return {
        gitlab_ci.JOB_TAG: str(job.id),
        "gitlab.CI_JOB_URL": links.job(settings, path, job.id),
        "gitlab.CI_PIPELINE_ID": str(job.pipeline_id),
        "gitlab.CI_PIPELINE_URL": links.pipeline(settings, path, job.pipeline_id),
        "gitlab.CI_PROJECT_ID": str(scope.actor.project_id),
        "gitlab.CI_PROJECT_PATH": scope.actor.project_path,
        "gitlab.CI_COMMIT_REF_NAME": job.ref,
    }


def _wrong_candidate() -> MltrailError:
    return forbidden(
        "This token is for one detached run alone. Set MLFLOW_RUN_ID to that run, as `mltrail detach` says, and begin "
        "no other."
    )
