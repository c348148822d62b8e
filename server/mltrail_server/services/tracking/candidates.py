"""Create, find, change, delete and restore candidates."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mltrail_server.domain import gitlab_ci, limits
from mltrail_server.domain.candidate import Stage, Status
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.identity import TokenKind
from mltrail_server.domain.ids import new_eid
from mltrail_server.domain.latest import Latest
from mltrail_server.domain.pairs import Pairs
from mltrail_server.domain.random_names import random_name
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import at_once, candidate_tags, candidates, contents, usage
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.contents import Contents
from mltrail_server.store.tracking.inputs import Dataset, ModelLink
from mltrail_server.store.tracking.metric_keys import MetricKeyCache

from . import evidence, experiments, quotas, stamp
from .evidence import WriteKind

NAME_TAG = "mlflow.runName"
"""MLflow keeps a run's name in this tag too, and the two are always equal."""
_CANDIDATES_PER_STATEMENT = 10_000
"""SQLite takes 32,766 values in one statement, and a search returns up to 50,000 runs."""


@dataclass(frozen=True, slots=True)
class CandidateData:
    """A candidate with what was logged to it: the latest value of each metric, parameters, tags, inputs, outputs."""

    candidate: Candidate
    metrics: Latest
    params: Pairs
    tags: Pairs
    datasets: list[Dataset]
    models: list[ModelLink]


def create(
    scope: Scope,
    *,
    experiment_iid: int,
    name: str | None = None,
    user_name: str | None = None,
    started_ms: int | None = None,
    tags: Iterable[tuple[str, str]] = (),
) -> CandidateData:
    """Create a candidate, and tie it to the job that asks for it.

    Raises NOT_FOUND for an unknown experiment, INVALID for a deleted one.
    """
    wanted = dict(tags)
    for key, value in wanted.items():
        limits.check_tag(key, value)
    if name and wanted.get(NAME_TAG, name) != name:
        raise invalid(Reason.RUN_NAMED_TWICE, name=name, tag=NAME_TAG, tagged=wanted[NAME_TAG])
    name = name or wanted.get(NAME_TAG) or random_name()
    limits.check_run_name(name)
    claim = stamp.look_up_claim(scope, wanted)
    if claim is None:
        made = _create_at_once(
            scope, experiment_iid=experiment_iid, name=name, user_name=user_name, started_ms=started_ms, tags=wanted
        )
        if made is not None:
            return made

    # Done before the database is locked, so that it is locked as briefly as possible.
    eid = new_eid()
    stored_tags = stamp.tags_of_new(scope, {**wanted, NAME_TAG: name}, claim)
    looks = stamp.note_look(scope)

    def begin(tx: Transaction) -> Candidate:
        place = experiments.check_accepts(tx, experiment_iid)
        return _make(
            tx,
            scope,
            eid=eid,
            experiment_iid=experiment_iid,
            name=name,
            user_name=user_name,
            started_ms=started_ms,
            tags=stored_tags,
            claim=claim,
            place=place,
            looks=looks,
        )

    try:
        candidate = scope.project.write_together(begin)
    except Exception:
        stamp.not_created(scope)
        raise
    stamp.created(scope, candidate)
    return _new(candidate, stored_tags)


def _create_at_once(
    scope: Scope,
    *,
    experiment_iid: int,
    name: str,
    user_name: str | None,
    started_ms: int | None,
    tags: Mapping[str, str],
) -> CandidateData | None:
    """Create a candidate in one statement on PostgreSQL; None if that has not worked: see `store.tracking.at_once`."""
    limited = scope.deps.settings.quota(usage.CANDIDATES) is not None
    if scope.deps.db.is_sqlite or limited or not stamp.ties_at_once(scope):
        return None
    stored_tags = stamp.tags_of_new(scope, {**tags, NAME_TAG: name})
    candidate = None
    with scope.project.at_once() as tx:
        tie = stamp.tie_at_once(scope, tx.now)
        try:
            candidate = at_once.create(
                tx,
                eid=new_eid(),
                experiment_iid=experiment_iid,
                name=name,
                user_name=_creator(scope, user_name),
                started_ms=tx.now if started_ms is None else started_ms,
                tags=stored_tags,
                tie=tie,
            )
        finally:
            if tie is not None:
                stamp.tied_at_once(scope, tie, candidate)
    if candidate is None:
        return None
    return _new(candidate, stored_tags)


def _new(candidate: Candidate, tags: Mapping[str, str]) -> CandidateData:
    return CandidateData(
        candidate, metrics=Latest(), params=Pairs(), tags=Pairs.of(sorted(tags.items())), datasets=[], models=[]
    )


def make(tx: Transaction, scope: Scope, *, experiment_iid: int, name: str) -> Candidate:
    """Create a candidate in the caller's transaction. The caller has checked the experiment."""
    return _make(
        tx,
        scope,
        eid=new_eid(),
        experiment_iid=experiment_iid,
        name=name,
        tags=stamp.tags_of_new(scope, {NAME_TAG: name}),
        looks=stamp.note_look(scope),
    )


def _make(  # noqa: PLR0913 - all that a run begins with, each by its name
    tx: Transaction,
    scope: Scope,
    *,
    eid: str,
    experiment_iid: int,
    name: str,
    tags: Mapping[str, str],
    looks: bool,
    user_name: str | None = None,
    started_ms: int | None = None,
    claim: gitlab_ci.Job | None = None,
    place: str | None = None,
) -> Candidate:
    """Create a candidate in the caller's transaction. The caller has checked experiment and tags, and looked up the job
    that the tags claim. `tags` are the ones to store. `place` is where the experiment's files go if they are not stored
    here. With `looks`, a look at the job's pipeline is scheduled.
    """
    candidate = candidates.create(
        tx,
        eid=eid,
        experiment_iid=experiment_iid,
        name=name,
        user_name=_creator(scope, user_name),
        started_ms=tx.now if started_ms is None else started_ms,
        elsewhere=f"{place}/{eid}/artifacts" if place else None,
        protected=scope.actor.job.ref_protected if scope.actor.job is not None else None,
    )
    stamp.on_create(tx, scope, candidate.iid, claim, looks=looks)
    candidate_tags.put(tx, candidate.iid, tags)
    quotas.take(tx, scope, usage.CANDIDATES, 1)
    return candidate


def get(scope: Scope, eid: str) -> CandidateData:
    keys = scope.deps.metric_key_cache
    with scope.project.read() as tx:
        found = contents.of_eid(tx, eid, keys=keys)
        if found is None:
            raise not_found(Reason.NO_RUN, eid=eid)
        return amended(tx, [found], keys=keys)[0]


def get_by_iid(scope: Scope, iid: int) -> CandidateData:
    """Return a candidate by its number in the project, which GitLab's URLs contain."""
    with scope.project.read() as tx:
        candidate = candidates.get_by_iid(tx, iid)
        if candidate is None:
            raise not_found(f"This project has no run number {iid}.")
        return _data_of(tx, candidate)


def update(
    scope: Scope, eid: str, *, status: Status | None = None, ended_ms: int | None = None, name: str | None = None
) -> Candidate:
    """Change status, end and name. An empty name changes nothing, as in MLflow."""
    limits.check_run_name(name or "")
    if not name and (updated := _end_at_once(scope, eid, status, ended_ms)) is not None:
        return updated
    with scope.project.write() as tx:
        if scope.actor.kind is TokenKind.DETACHED and not name:
            before = _get(tx, eid)
            if before.status is status and status.ended:
                return before  # sent again after a lost response: see `stamp.on_write`
        kinds = _kinds_of_update(status, ended_ms, name)
        candidate, number = writable(tx, scope, eid, kinds, [NAME_TAG] if name else [])
        own = number == candidate.iid
        ends = status is not None and status.ended
        if not own or (ends and _outlives_job(scope, candidate)):
            # Only its own jobs can say how a run of CI jobs ended; if others say so, that is only recorded.
            status, ended_ms, ends = None, None, False
        updated = _store_update(tx, candidate, status=status, ended_ms=ended_ms, name=name or None, own=own)
        if ends:
            stamp.on_end(tx, scope, candidate.iid)
        return updated


def _end_at_once(scope: Scope, eid: str, status: Status | None, ended_ms: int | None) -> Candidate | None:
    """Change status and end time in one round trip to PostgreSQL; None if that did not work: see
    `store.tracking.at_once`. A new name goes the general way, because it is also a tag.
    """
    vouching = None if scope.deps.db.is_sqlite else stamp.vouching(scope)
    if vouching is None or (status is None and ended_ms is None):
        return None
    ends = status is not None and status.ended
    with scope.project.at_once() as tx:
        return at_once.end(
            tx,
            eid,
            status=status,
            ended_ms=ended_ms,
            vouching=vouching,
            job_id=scope.actor.job.job_id if scope.actor.job is not None else None,
            look_at_ms=tx.now + stamp.END_LOOK_MS if ends else None,
        )


def _store_update(
    tx: Transaction, candidate: Candidate, *, status: Status | None, ended_ms: int | None, name: str | None, own: bool
) -> Candidate:
    if name is not None:
        evidence.put_tags(tx, candidate, {NAME_TAG: name}, own=own)
    given = {"status": status, "ended_ms": ended_ms, "name": name}
    changes = {key: value for key, value in given.items() if value is not None}
    return candidates.change(tx, candidate.iid, **changes) or _get(tx, candidate.eid)


def change_stage(scope: Scope, eid: str, stage: Stage) -> None:
    """Delete or restore a candidate, and note who did it. Doing it twice is no error."""
    with scope.project.write() as tx:
        change_stage_in(tx, scope, eid, stage)


def change_stage_in(tx: Transaction, scope: Scope, eid: str, stage: Stage) -> None:
    """Delete or restore a candidate in the caller's transaction, which an error must undo."""
    candidate = _known(candidates.get_to_write(tx, eid), eid)
    protection.check_deletable(scope, candidate, stage)
    discarded = candidate.discarded
    if candidate.stage is not stage:
        stamp.on_write(tx, scope, candidate, {WriteKind.STAGE})
        if not scope.actor.unchecked and stamp.is_own(tx, scope, candidate, created=True):
            # The job takes back what it has logged. A run that anybody else deletes is hidden, and stays evidence.
            discarded = stage is Stage.DELETED
    deleted = tx.now if stage is Stage.DELETED else None
    changes = {"stage": stage, "deleted_ms": deleted, "discarded": discarded}
    candidates.change(tx, candidate.iid, **changes)
    if stage is Stage.ACTIVE and candidate.stage is Stage.DELETED:
        quotas.check_restored(tx, scope)


def writable(
    tx: Transaction, scope: Scope, eid: str, kinds: Iterable[WriteKind], tags: Iterable[str] = ()
) -> tuple[Candidate, int]:
    """Find a candidate that is about to be written to, note who writes, and return the number to store the write under:
    the candidate's own, or that of its amendments (see `stamp.on_write`). Raises CONFLICT for a promoted candidate.
    """
    candidate = _known(candidates.get_to_write(tx, eid), eid)
    # Its own jobs may write to it even after somebody else has deleted it: nobody may silence them.
    if candidate.stage is Stage.DELETED and (candidate.discarded or not stamp.is_own(tx, scope, candidate)):
        raise invalid(Reason.RUN_DELETED, eid=eid)
    protection.check_frozen(scope, candidate)
    return candidate, stamp.on_write(tx, scope, candidate, kinds, tags)


def known(tx: Transaction, eid: str) -> Candidate:
    """Find a candidate. Raises NOT_FOUND."""
    return _get(tx, eid)


def with_data(tx: Transaction, some: Sequence[Candidate]) -> list[CandidateData]:
    """Fetch what was logged to several candidates, in one statement for every ten thousand of them."""
    logged: list[CandidateData] = []
    for start in range(0, len(some), _CANDIDATES_PER_STATEMENT):
        part = some[start : start + _CANDIDATES_PER_STATEMENT]
        by_number = contents.of(tx, [candidate.iid for candidate in part])
        logged += amended(tx, [(candidate, by_number[candidate.iid]) for candidate in part])
    return logged


def amended(
    tx: Transaction, some: Sequence[tuple[Candidate, Contents]], *, keys: MetricKeyCache | None = None
) -> list[CandidateData]:
    """Add what others have logged to several candidates, in one statement more if there is any."""
    numbers = [candidate.amendment_iid for candidate, _ in some if candidate.amendment_iid is not None]
    amendments = contents.of(tx, numbers, keys=keys) if numbers else {}
    return [_with_contents(candidate, logged, amendments) for candidate, logged in some]


def _kinds_of_update(status: Status | None, ended_ms: int | None, name: str | None) -> set[WriteKind]:
    kinds = {WriteKind.NAME} if name else set()
    if status is not None or ended_ms is not None or not name:
        kinds.add(WriteKind.STATUS)
    return kinds


def _outlives_job(scope: Scope, candidate: Candidate) -> bool:
    """Return whether a candidate trains on without its job, whose `with mlflow.start_run()` may end it."""
    until = candidate.detached_until_ms
    return until is not None and scope.now < until and scope.actor.kind is not TokenKind.DETACHED


def _creator(scope: Scope, given: str | None) -> str:
    """Return who made a candidate. What the client says counts only in local mode, where the token names nobody."""
    return given or scope.actor.user_name if scope.deps.team is None else scope.actor.user_name


def _with_contents(candidate: Candidate, logged: Contents, amendments: Mapping[int, Contents]) -> CandidateData:
    if candidate.amendment_iid is not None:
        logged = logged.with_amendments(amendments[candidate.amendment_iid])
    return CandidateData(candidate, logged.metrics, logged.params, logged.tags, logged.datasets, logged.models)


def _data_of(tx: Transaction, candidate: Candidate) -> CandidateData:
    return with_data(tx, [candidate])[0]


def _get(tx: Transaction, eid: str) -> Candidate:
    return _known(candidates.get(tx, eid), eid)


def _known(candidate: Candidate | None, eid: str) -> Candidate:
    if candidate is None:
        raise not_found(Reason.NO_RUN, eid=eid)
    return candidate
