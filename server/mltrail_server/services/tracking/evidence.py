"""The evidence of a candidate: what it was when its own jobs had ended. Reports, gates and promotions rest on it.

Nothing that anybody else writes changes the evidence or takes it away. On protected refs such writes are refused;
elsewhere they are kept apart, as amendments. Names, descriptions and tags are notes that everybody sees and searches;
the values that the run's own jobs had set are kept for the comparison.

A job of the same pipeline may write later: an evaluation, say, resumes a run that the training job has ended. If the
evaluation fails, what the training proved must not be lost, least of all on the target branch, where any manual job of
an old pipeline may write to a baseline. So a snapshot is taken first; `pipeline_runs.run_outcome` says when it counts.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from mltrail_server.domain import gitlab_ci, paths
from mltrail_server.domain.candidate import Status
from mltrail_server.domain.errors import MltrailError, forbidden
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.run_tags import CONFIRM_TAG, EVALUATES_TAG, PARENT_TAG
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.ci.jobs import Lateness
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidate_tags, candidates, histories, logged_models
from mltrail_server.store.tracking import evidence as store
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.evidence import Amendment

SELECTING = frozenset({PARENT_TAG, CONFIRM_TAG, EVALUATES_TAG})
"""Tags that decide what a run is compared with. A contract may select by others at any time."""


class WriteKind(StrEnum):
    """What a call writes, in words for people."""

    METRICS = "metrics"
    PARAMS = "parameters"
    TAGS = "tags"
    NAME = "name"
    INPUTS = "inputs"
    FILES = "files"
    MODELS = "logged models"
    TRACES = "traces"
    STATUS = "status"
    STAGE = "deletion"


_NOTES = frozenset({WriteKind.TAGS, WriteKind.NAME})
_OPEN_TO_MAINTAINERS = _NOTES | {WriteKind.STAGE}
"""What Maintainers may do to runs of protected refs. What they delete stays evidence."""


def add(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> int:
    """Note that somebody else writes to a candidate, and return the number under which the amendment is kept.

    Raises FORBIDDEN for a candidate of a protected ref. What was imported is of none.
    """
    kinds = frozenset(kinds)
    check(tx, scope, candidate, kinds, tags)
    number = candidate.amendment_iid
    if number is None:
        # Locked until the end: two others who write at the same time share one number.
        locked = candidates.get_to_write(tx, candidate.eid)
        number = locked.amendment_iid if locked is not None else None
    if number is None:
        number = store.next_number(tx)
        candidates.change(tx, candidate.iid, amendment_iid=number)
    job_id = scope.actor.job.job_id if scope.actor.job is not None else None
    store.add_amendment(tx, candidate.iid, scope.actor.user_name, job_id, kinds)
    return number


def check(
    tx: Transaction, scope: Scope, candidate: Candidate, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> None:
    """Refuse what `add` refuses: raises FORBIDDEN for a candidate of a protected ref."""
    # Where the operator allows writes to promoted runs, they are kept as amendments too.
    allowed_by_operator = (
        candidate.promoted and not scope.deps.settings.freezes_promoted_runs and scope.actor.has_maintainer_rights
    )
    if candidate.origin_id is None and not allowed_by_operator and is_protected(tx, candidate):
        _check_maintainer(scope, candidate, frozenset(kinds), tags)


def put_tags(tx: Transaction, candidate: Candidate, tags: Mapping[str, str], *, own: bool) -> None:
    """Set tags. They are notes, so those of everybody are searched and shown; what its own jobs had set is kept."""
    if not own:
        store.keep_tags(tx, candidate.iid, tags)
    candidate_tags.put(tx, candidate.iid, tags)
    if own and candidate.amended:
        store.follow_tags(tx, candidate.iid, tags)


def delete_tag(tx: Transaction, candidate: Candidate, key: str, *, own: bool) -> bool:
    """Delete a tag, and return whether it was there."""
    if not own:
        store.keep_tags(tx, candidate.iid, [key])
    existed = candidate_tags.delete(tx, candidate.iid, key)
    if own and candidate.amended:
        store.follow_tags(tx, candidate.iid, {key: None})
    return existed


def of(tx: Transaction, candidate: Candidate) -> list[Amendment]:
    """List who, other than its own jobs, has written to a candidate. Takes no statement if nobody has."""
    return store.amendments(tx, candidate.iid) if candidate.amended else []


def with_histories(tx: Transaction, known: Mapping[int, str], key: str) -> dict[int, str]:
    """Return the run ids of candidates by the number under which the history of a metric is kept: the candidate's own,
    or that of its amendments if only others have logged the metric. One statement, and two more if there are any.
    """
    amended = candidates.amended_of(tx, list(known.values()))
    if not amended:
        return dict(known)
    own = histories.candidates_with(tx, list(amended), key)
    return {amended[iid] if iid in amended and iid not in own else iid: eid for iid, eid in known.items()}


def folder(number: int) -> str:
    """Return the folder of the files that others have logged to a candidate, which takes the place of its own."""
    return f"{paths.beside(number)}/artifacts"


def is_protected(tx: Transaction, candidate: Candidate) -> bool:
    """Return whether a candidate was made on a protected ref; if that is unknown, the default branch counts as one."""
    if candidate.protected is not None:
        return candidate.protected
    return pipelines.made_baseline(tx, candidate.iid)


def snapshot_before_late_job(tx: Transaction, candidate: Candidate, pipeline_id: int) -> Lateness:
    """Take a snapshot before another job of the pipeline first writes to a candidate that has finished.

    `pipeline_id` is the pipeline that the candidate counts to.
    """
    if candidate.status is not Status.FINISHED:
        # The jobs write at the same time, or the candidate has failed already. An earlier snapshot stays.
        return Lateness(late=candidate.snapshot_iid is not None, after_pipeline=False)
    statuses = jobs.statuses_of(tx, candidate.iid)
    if candidate.snapshot_iid is None or all(status == gitlab_ci.SUCCEEDED for status in statuses):
        snapshot(tx, candidate)
        jobs.settle_late(tx, candidate.iid)
    pipeline = pipelines.get(tx, pipeline_id)
    return Lateness(late=True, after_pipeline=pipeline is not None and pipeline.status in gitlab_ci.ENDED)


def snapshot_before_unchecked_write(tx: Transaction, candidate: Candidate, job_id: int) -> None:
    """Take a snapshot before a job writes of which GitLab can't say whether it still runs: it may have ended."""
    flags = jobs.flags_of(tx, candidate.iid)
    if any(flag.late for flag in flags.values()):
        return
    first = job_id not in flags or flags[job_id].unchecked_ms is None
    if first or candidate.status.ended:
        snapshot(tx, candidate)


def snapshot(tx: Transaction, candidate: Candidate) -> None:
    """Keep what a candidate is now, with the names of its files and of its logged models' files."""
    if candidate.snapshot_iid is not None:
        store.forget(tx, candidate.snapshot_iid)
    number = store.next_number(tx)
    made = logged_models.made_by(tx, candidate.eid)
    owners = [Owner(candidate.experiment_iid, candidate.eid), *(Owner(iid, logged_model_id=one) for one, iid in made)]
    folders = {one.folder: one.folder_in(number) for one in owners}
    store.take_snapshot(tx, candidate.iid, folders=folders, to=number)
    candidates.change(tx, candidate.iid, snapshot_iid=number)


def _check_maintainer(scope: Scope, candidate: Candidate, kinds: frozenset[WriteKind], tags: Iterable[str]) -> None:
    if not kinds <= _OPEN_TO_MAINTAINERS or SELECTING.intersection(tags):
        raise _is_evidence(candidate, "Log to a new run instead (leave out MLFLOW_RUN_ID and `run_id`).")
    if not scope.actor.has_maintainer_rights:
        raise _is_evidence(candidate, "Log to a new run instead; a Maintainer may delete it, rename it, and add notes.")


def _is_evidence(candidate: Candidate, instead: str) -> MltrailError:
    return forbidden(
        f"The run {candidate.eid} was made by CI jobs on a protected branch or tag. Merge requests are compared with "
        f"it, so only its own jobs may write to it, and only while they run. {instead}"
    )
