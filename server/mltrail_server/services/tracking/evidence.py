"""What others than a run's own jobs write to it: refused on protected refs, and kept beside the evidence elsewhere.

What a run was when its jobs had ended is evidence: reports, gates and promotions rest on it. So nothing that anybody
else writes changes it, and nothing that they write takes it away. Names, descriptions and tags are notes, which
everybody sees and searches; what the run's own jobs had given is kept for those who judge.

What a run was before a job that came later wrote to it.

An evaluation, say, resumes a run that its training job has ended. If it fails, what the training proved must not be
gone with it, least of all on the target branch, where any manual job of an old pipeline may write to a baseline.
`pipeline_runs.fate_of` says when the snapshot is what counts.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from mltrail_server.domain import gitlab_ci, paths
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import MltrailError, forbidden
from mltrail_server.domain.trials import CONFIRM_TAG, PARENT_TAG
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.jobs import Lateness
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidate_tags, candidates, histories, logged_models
from mltrail_server.store.tracking import evidence as store
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.evidence import Amendment


def snapshot_before_late_job(tx: Transaction, candidate: Candidate, pipeline_id: int) -> Lateness:
    """Take a snapshot before another job of the pipeline first writes to a candidate, if that had ended well so far.

    `pipeline_id` is the one that the candidate counts to.
    """
    if candidate.status is not Status.FINISHED:
        # They write side by side, or it has failed already; what an earlier snapshot holds stays.
        return Lateness(late=candidate.snapshot_iid is not None, after_pipeline=False)
    statuses = jobs.statuses_of(tx, candidate.iid)
    if candidate.snapshot_iid is None or all(status == gitlab_ci.SUCCEEDED for status in statuses):
        snapshot(tx, candidate)
        jobs.settle_late(tx, candidate.iid)
    pipeline = pipelines.get(tx, pipeline_id)
    return Lateness(late=True, after_pipeline=pipeline is not None and pipeline.status in gitlab_ci.ENDED)


def snapshot_before_unchecked_write(tx: Transaction, candidate: Candidate, job_id: int) -> None:
    """Take a snapshot before a write by a job of which GitLab can't say whether it still runs: it may be over."""
    flags = jobs.flags_of(tx, candidate.iid)
    if any(flag.late for flag in flags.values()):
        return
    first = job_id not in flags or flags[job_id].unchecked_ms is None
    if first or candidate.status.ended:
        snapshot(tx, candidate)


def snapshot(tx: Transaction, candidate: Candidate) -> None:
    """Keep what a candidate is now, with the names of its files and of those of its logged models."""
    if candidate.snapshot_iid is not None:
        store.forget(tx, candidate.snapshot_iid)
    number = store.number(tx)
    folders = {f"{candidate.experiment_iid}/{candidate.eid}/artifacts": "artifacts"}
    for model_id, experiment_iid in logged_models.made_by(tx, candidate.eid):
        folders[f"{experiment_iid}/models/{model_id}/artifacts"] = f"models/{model_id}"
    store.take(tx, candidate.iid, folders=folders, to=number)
    candidates.change(tx, candidate.iid, snapshot_iid=number)


SELECTING = frozenset({PARENT_TAG, CONFIRM_TAG})
"""Tags that say what a run is compared as. Those of a contract select, too, but it may begin to at any time."""


class WriteKind(StrEnum):
    """What a call writes, in words for people."""

    METRICS = "metrics"
    PARAMS = "parameters"
    TAGS = "tags"
    NAME = "name"
    INPUTS = "inputs"
    FILES = "files"
    MODELS = "logged models"
    STATUS = "status"
    STAGE = "deletion"


_NOTES = frozenset({WriteKind.TAGS, WriteKind.NAME})
_A_STEWARDS = _NOTES | {WriteKind.STAGE}
"""What Maintainers do to runs of protected refs. What they delete stays evidence."""


def add(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> int:
    """Note that somebody else writes to a candidate, and answer the number under which it is kept.

    Raises FORBIDDEN where it is of a protected ref.
    """
    kinds = frozenset(kinds)
    # Where the operator lets people go on with promoted runs, what they write stands beside the evidence, too.
    opened = candidate.promoted and not scope.deps.settings.freezes_promoted_runs and scope.actor.has_maintainer_rights
    if not opened and is_protected(tx, candidate):
        _check_steward(scope, candidate, kinds, tags)
    number = candidate.amendment_iid
    if number is None:
        # Held until the end: two strangers who come at the same time share one number.
        held = candidates.get_to_write(tx, candidate.eid)
        number = held.amendment_iid if held is not None else None
    if number is None:
        number = store.number(tx)
        candidates.change(tx, candidate.iid, amendment_iid=number)
    job_id = scope.actor.job.job_id if scope.actor.job is not None else None
    user = scope.actor.user_name
    store.add(tx, candidate.iid, user, job_id, kinds)
    return number


def is_protected(tx: Transaction, candidate: Candidate) -> bool:
    """Tell whether a candidate was made on a protected ref; where nobody has told, the default branch counts as one."""
    if candidate.protected is not None:
        return candidate.protected
    return pipelines.made_baseline(tx, candidate.iid)


def _check_steward(scope: Scope, candidate: Candidate, kinds: frozenset[WriteKind], tags: Iterable[str]) -> None:
    if not kinds <= _A_STEWARDS or SELECTING.intersection(tags):
        raise _evidence(candidate, "Log to a new run instead (leave out MLFLOW_RUN_ID and `run_id`).")
    if not scope.actor.has_maintainer_rights:
        raise _evidence(candidate, "Log to a new run instead; a Maintainer may delete it, rename it, and add notes.")


def _evidence(candidate: Candidate, instead: str) -> MltrailError:
    return forbidden(
        f"The run {candidate.eid} was made by CI jobs on a protected branch or tag. Merge requests are compared with "
        f"it, so only its own jobs may write to it, and only while they run. {instead}"
    )


def put_tags(tx: Transaction, candidate: Candidate, tags: Mapping[str, str], *, own: bool) -> None:
    """Set tags. They are notes, so everybody's are searched and shown; see `store.amendments.keep_tags`."""
    if not own:
        store.keep_tags(tx, candidate.iid, tags)
    candidate_tags.put(tx, candidate.iid, tags)
    if own and candidate.amended:
        store.follow_tags(tx, candidate.iid, tags)


def delete_tag(tx: Transaction, candidate: Candidate, key: str, *, own: bool) -> bool:
    """Delete a tag, and tell whether it was there."""
    if not own:
        store.keep_tags(tx, candidate.iid, [key])
    found = candidate_tags.delete(tx, candidate.iid, key)
    if own and candidate.amended:
        store.follow_tags(tx, candidate.iid, {key: None})
    return found


def of(tx: Transaction, candidate: Candidate) -> list[Amendment]:
    """Tell who has written to a candidate beside its own jobs. No statement where nobody has."""
    return store.of(tx, candidate.iid) if candidate.amended else []


def with_histories(tx: Transaction, known: Mapping[int, str], key: str) -> dict[int, str]:
    """Answer under which numbers a metric of candidates (run id by number) stands: of what others have logged to one,
    only what its own jobs have not logged. One statement, and two more where others have logged.
    """
    amended = candidates.amended_of(tx, list(known.values()))
    if not amended:
        return dict(known)
    own = histories.having(tx, list(amended), key)
    return {amended[iid] if iid in amended and iid not in own else iid: eid for iid, eid in known.items()}


def folder(number: int) -> str:
    """Name the folder of the files that others have logged to a candidate, in the place of its own."""
    return f"{paths.beside(number)}/artifacts"
