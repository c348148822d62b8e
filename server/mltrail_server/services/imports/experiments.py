"""Import experiments. They are active while their content is written, and deleted at the end if the source says so."""

from mltrail_server.domain import limits
from mltrail_server.domain.artifact_location import allowed
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.transfer import Entity, ExperimentRecord, Loss
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import evaluations, imported
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.tracking import experiments
from mltrail_server.store.tracking.experiments import Experiment

from .fit_to_limits import Fit
from .plan import FilesMode
from .target import Target
from .written_values import WrittenValues, digests_of

_MADE = ("made", "here")
_DELETED = ("stage", str(int(Stage.DELETED)))


def bring(target: Target, record: ExperimentRecord) -> int | None:
    """Create an experiment or find the one of its name, and return its number; None in a dry run if there is none."""
    fit = target.fit(f"experiment {record.name}")
    name = name_here(target, record, fit)
    tags = fit.pairs(
        Entity.EXPERIMENT,
        "tag",
        record.tags,
        most=limits.MAX_EXPERIMENT_TAG_VALUE,
        check=lambda key: limits.check_key(key, "tag"),
    )
    if target.dry_run:
        with target.project.read() as tx:
            known = imported.one(tx, Entity.EXPERIMENT, record.name)
            there = experiments.get_by_name(tx, name)
        _note_same_name(fit, there, known)
        iid = int(known.here) if known else there.iid if there else None
    else:
        with target.project.write() as tx:
            iid = _write(tx, target, record, fit, name, tags)
    if iid is not None:
        target.experiments[record.id] = iid
    target.tally.note(
        Entity.EXPERIMENT,
        None if iid is None else str(iid),
        fit.owner,
        {Entity.EXPERIMENT: 1},
        explained=fit.lost,
    )
    return iid


def end(target: Target, record: ExperimentRecord, iid: int) -> None:
    """Delete an experiment here that is deleted at the source, once its content is imported."""
    if not record.deleted or target.dry_run:
        return
    with target.project.write() as tx:
        known = imported.one(tx, Entity.EXPERIMENT, record.name)
        here = experiments.get(tx, iid)
        if known is None or here is None or not WrittenValues(known.written).has(*_DELETED):
            return  # it already existed here, or somebody has restored it
        if here.stage is not Stage.DELETED:
            experiments.change(tx, iid, stage=Stage.DELETED)
            evaluations.set_experiment(
                tx, iid, created_ms=record.created_ms, updated_ms=record.updated_ms, location=None
            )


def activate(target: Target, iid: int) -> None:
    """Make an experiment active while something is added to it; `end` deletes it again."""
    with target.project.write() as tx:
        here = experiments.get(tx, iid)
        if here is not None and here.stage is Stage.DELETED:
            experiments.change(tx, iid, stage=Stage.ACTIVE)


def name_here(target: Target, record: ExperimentRecord, fit: Fit) -> str:
    """Return the name that an experiment gets here: renamed if the plan says so, and made to fit."""
    name = target.plan.renames.experiments.get(record.name, record.name)
    name = fit.text(Entity.EXPERIMENT, "its name", name, limits.MAX_EXPERIMENT_NAME)
    if not name.strip():
        fit.say(Loss.CHANGED, Entity.EXPERIMENT, f"it has no name, and is called 'experiment {record.id}' here")
        return f"experiment {record.id}"
    return name


def _write(tx: Transaction, target: Target, record: ExperimentRecord, fit: Fit, name: str, tags: dict[str, str]) -> int:
    known = imported.one(tx, Entity.EXPERIMENT, record.name)
    here = experiments.get(tx, int(known.here)) if known else experiments.get_by_name(tx, name)
    if here is None:
        iid = _create(tx, target, record, name)
        known, before = None, {}
    else:
        iid, before = here.iid, dict(here.tags)
        _note_same_name(fit, here, known)
    earlier = WrittenValues(known.written if known else "")
    kept = changes(fit, Entity.EXPERIMENT, tags, before, earlier)
    if kept:
        experiments.set_tags(tx, iid, kept.items())
    ours = _ours(record, fit, earlier, made=here is None)
    now = Imported(str(iid), "", {Entity.EXPERIMENT: 1}, digests_of([*ours, *_fields(tags)]))
    if known != now:
        imported.put(tx, Entity.EXPERIMENT, target.origin_id, [(record.name, now)])
    return iid


def _ours(record: ExperimentRecord, fit: Fit, before: WrittenValues, *, made: bool) -> list[tuple[str, str]]:
    """Return what imports have done: that they made the experiment, and that they deleted it. One that has been active
    here is not deleted when the source deletes it, because people may use it here by now.
    """
    if not made and not before.has(*_MADE):
        return []
    if record.deleted and (made or before.has(*_DELETED)):
        return [_MADE, _DELETED]
    if record.deleted:
        fit.say(Loss.NOTE, Entity.EXPERIMENT, "it was deleted at the source after the import; it is kept here")
    return [_MADE]


def _create(tx: Transaction, target: Target, record: ExperimentRecord, name: str) -> int:
    iid = experiments.create(tx, name=name)
    assert iid is not None  # noqa: S101 - nobody has the name, and this transaction would know
    place = None
    if target.plan.files is FilesMode.IN_PLACE and record.artifact_location:
        place = allowed(record.artifact_location, target.scope.deps.settings.locations)
    evaluations.set_experiment(tx, iid, created_ms=record.created_ms, updated_ms=record.updated_ms, location=place)
    return iid


def _note_same_name(fit: Fit, here: Experiment | None, known: Imported | None) -> None:
    if here is not None and known is None and here.iid != 0:
        fit.say(Loss.NOTE, Entity.EXPERIMENT, "an experiment with this name already existed here: runs are added to it")


def changes(
    fit: Fit, entity: Entity, tags: dict[str, str], here: dict[str, str], before: WrittenValues, what: str = "tag"
) -> dict[str, str]:
    """Return those of the source's tags that are to be written: not those that somebody has changed here since."""
    written: dict[str, str] = {}
    for key, value in tags.items():
        now = here.get(key)
        if now == value:
            continue
        field_name = f"{what}:{key}"
        if now is None and before.has(field_name, value):
            fit.say(Loss.CHANGED, entity, f"the {what} {key!r} was removed here since the import, and stays removed")
        elif now is not None and not before.has(field_name, now):
            fit.say(Loss.CHANGED, entity, f"the {what} {key!r} has another value here, which is kept")
        else:
            written[key] = value
    return written


def _fields(tags: dict[str, str]) -> list[tuple[str, str]]:
    return [(f"tag:{key}", value) for key, value in tags.items()]
