"""Write runs with everything that was logged to them: all of a run, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.transfer import Entity, Loss, RunRecord
from mltrail_server.services.tracking import imported as claims
from mltrail_server.services.tracking import quotas
from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import imported, runs
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.imports.runs import DatasetKey, NewRun, RunHere
from mltrail_server.store.tracking import candidate_tags, candidates, metric_keys, metrics, params, usage

from . import files, run_facts
from .experiments import changes
from .files import Brought
from .fit_to_limits import Fit
from .history import History
from .run_facts import Facts
from .target import Target
from .written_values import WrittenValues, digests_of


@dataclass(slots=True)
class Prepared:
    """A run that is on its way. `known` and `here` are what an earlier import has made of it; `iid` is 0 for a new
    one. `clashes` if something else has its id.
    """

    record: RunRecord
    fit: Fit
    fingerprint: str
    experiment_iid: int
    iid: int = 0
    known: Imported | None = None
    here: RunHere | None = None
    clashes: bool = False
    history: History = field(default_factory=History)
    facts: Facts | None = None
    files: Brought | None = None
    repeated: int = 0

    @property
    def folder(self) -> str:
        return Owner(self.experiment_iid, eid=self.record.id).folder

    @property
    def there(self) -> dict[Entity, int]:
        """What the source has of it; points that it has twice count once."""
        assert self.facts is not None  # noqa: S101 - read before
        counts = run_facts.counts_of(self.record, self.history.count - self.repeated, tags=self.facts.tags_there)
        if self.files is not None:
            return counts | self.files.there
        # Its files are elsewhere, and were not looked at again.
        return counts


def write(target: Target, some: Sequence[Prepared], known_datasets: dict[DatasetKey, int]) -> None:
    """Write runs in one transaction, and remember them. In a dry run they are counted only."""
    if not target.dry_run:
        try:
            with target.project.write() as tx:
                numbers, made = _store(tx, target, some, known_datasets)
        except Exception:
            files.discard(target, [one.files for one in some if one.files is not None])
            raise
        target.scope.deps.metric_key_cache.learn(target.scope.project_id, numbers)
        known_datasets |= made
    else:
        target.coming.update(one.record.id for one in some)
    for one in some:
        here = str(one.iid) if one.iid else None
        # In a dry run, what changed at the source is no sign of anything here.
        explained = one.fit.lost or target.dry_run
        target.tally.note(Entity.RUN, here, one.fit.owner, one.there, folder=one.folder, explained=explained)


def _store(
    tx: Transaction, target: Target, some: Sequence[Prepared], known_datasets: dict[DatasetKey, int]
) -> tuple[dict[str, int], dict[DatasetKey, int]]:
    """Write runs, and return the numbers of their metrics' names and of new datasets."""
    known = target.scope.deps.metric_key_cache.of(target.scope.project_id)
    numbers = metric_keys.make(tx, {key for one in some for key in one.history.keys}, known=known)
    new = [one for one in some if one.here is None]
    _add_new(tx, target, new)
    _update(tx, [one for one in some if one.here is not None])
    made = _add_contents(tx, some, known_datasets)
    for one in some:
        _add_points(tx, target, one, numbers)
        if one.files is not None:
            files.store(tx, target, one.files)
    imported.put(tx, Entity.RUN, target.origin_id, [(one.record.id, _made(target, one)) for one in some])
    quotas.take(tx, target.scope, usage.CANDIDATES, len(new))
    quotas.take(tx, target.scope, usage.POINTS, sum(one.history.kept for one in some))
    return numbers, made


def _add_new(tx: Transaction, target: Target, some: Sequence[Prepared]) -> None:
    if not some:
        return
    first = tx.next_number("candidate", count=len(some))
    for iid, one in enumerate(some, first):
        one.iid = iid
    runs.add(tx, [_row(one, tx.now) for one in some], origin_id=target.origin_id)
    runs.pairs(tx, schema.candidate_tag, {one.iid: one.facts.tags for one in some if one.facts})
    for one in some:
        if one.facts is not None:
            claims.tie(tx, one.iid, one.facts.claim)
    runs.pairs(tx, schema.param, {one.iid: one.facts.params for one in some if one.facts})


def _row(one: Prepared, now: int) -> NewRun:
    facts = one.facts
    assert facts is not None  # noqa: S101 - read before
    deleted_ms = (facts.deleted_ms or now) if facts.stage is Stage.DELETED else None
    return NewRun(
        one.iid,
        one.record.id,
        one.experiment_iid,
        facts.name,
        facts.user_name,
        facts.status,
        facts.stage,
        facts.started_ms,
        facts.ended_ms,
        deleted_ms,
        one.files.elsewhere if one.files is not None else None,
    )


def _update(tx: Transaction, some: Sequence[Prepared]) -> None:
    """Give runs that are here what is new at the source, except what somebody has changed here."""
    tags = candidate_tags.of(tx, [one.iid for one in some])
    for one in some:
        facts, here, known = one.facts, one.here, one.known
        assert facts is not None and here is not None and known is not None  # noqa: S101, PT018 - found before
        before = WrittenValues(known.written)
        for key, value in params.add(tx, one.iid, facts.params).items():
            one.fit.say(Loss.CHANGED, Entity.PARAM, f"the parameter {key!r} is {value[:80]!r} here, which is kept")
        written = changes(one.fit, Entity.TAG, facts.tags, dict(tags.get(one.iid, [])), before)
        candidate_tags.put(tx, one.iid, written)
        candidates.change(tx, one.iid, **_new_state(tx, one, facts, here, before))


def _new_state(tx: Transaction, one: Prepared, facts: Facts, here: RunHere, before: WrittenValues) -> dict[str, object]:
    changed: dict[str, object] = {}
    if facts.name != here.name and _is_ours(one.fit, before, "name", here.name):
        changed["name"] = facts.name
    if (facts.status, facts.ended_ms) != (here.status, here.ended_ms) and _is_ours(
        one.fit, before, "status", str(int(here.status))
    ):
        changed |= {"status": facts.status, "ended_ms": facts.ended_ms}
    if facts.stage is not here.stage and _is_ours(one.fit, before, "stage", str(int(here.stage))):
        changed |= {"stage": facts.stage, "deleted_ms": tx.now if facts.stage is Stage.DELETED else None}
    return changed


def _is_ours(fit: Fit, before: WrittenValues, name: str, value: str) -> bool:
    if before.has(name, value):
        return True
    fit.say(Loss.CHANGED, Entity.RUN, f"its {name} was changed here since the import, and is kept")
    return False


def _add_contents(tx: Transaction, some: Sequence[Prepared], known: dict[DatasetKey, int]) -> dict[DatasetKey, int]:
    uses = [(one.iid, one.experiment_iid, dataset) for one in some if one.facts for dataset in one.facts.datasets]
    links = [
        (one.iid, model_id, direction, step)
        for one in some
        if one.facts
        for model_id, direction, step in one.facts.models
    ]
    made = runs.add_datasets(tx, uses, known=known) if uses else {}
    runs.add_models(tx, links)
    return made


def _add_points(tx: Transaction, target: Target, one: Prepared, numbers: dict[str, int]) -> None:
    if not one.history.kept:
        return
    before = runs.points_of(tx, one.iid) if one.here is not None else 0
    for rows in one.history.rows(target.scope.project_id, one.iid, numbers):
        metrics.append_stored(tx, one.iid, rows)
    added = runs.points_of(tx, one.iid) - before
    imported_before = one.known.counts.get(Entity.POINT, 0) if one.known is not None else 0
    one.repeated = max(0, one.history.kept - added - imported_before)
    if one.repeated:
        text = "points are exact duplicates at the source; they are kept once"
        one.fit.say(Loss.NOTE, Entity.POINT, text, count=one.repeated)


def _made(target: Target, one: Prepared) -> Imported:
    facts = one.facts
    assert facts is not None  # noqa: S101 - read before
    # A run that has not ended may get points and files of which the source's summary says nothing.
    whole = not one.fit.lost and facts.status.ended
    of_files = one.files.written if one.files is not None else []
    return Imported(
        str(one.iid),
        target.marked(one.fingerprint) if whole else "",
        one.there,
        digests_of([*facts.written(), ("points", str(one.history.count)), *of_files]),
    )
