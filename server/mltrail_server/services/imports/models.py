"""Import registered models and prompts, with the numbers of their versions, including gaps."""

from dataclasses import dataclass

from mltrail_server.domain import limits, semver
from mltrail_server.domain import model as rules
from mltrail_server.domain.model import PROMPT_TAG, VERSION_TAG, VersionStage
from mltrail_server.domain.transfer import Entity, Loss, ModelRecord, VersionRecord
from mltrail_server.services.registry import experiments
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import imported, registry
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.imports.registry import NewVersion, VersionHere
from mltrail_server.store.promotion import promotions
from mltrail_server.store.registry import aliases as alias_store
from mltrail_server.store.registry import models as store
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.aliases import AliasMove

from . import files, version_sources
from .experiments import changes
from .files import Brought
from .fit_to_limits import Fit
from .target import USER, Target
from .version_sources import Place
from .written_values import WrittenValues, digests_of, fingerprint

_MAX_VERSION_NUMBER = 2**63 - 1


@dataclass(slots=True)
class _Model:
    """A model on its way: its number and its experiment's here, 0 in a dry run that has none."""

    record: ModelRecord
    name: str
    fit: Fit
    is_prompt: bool
    id: int = 0
    experiment_iid: int = 0
    known: Imported | None = None
    versions: int = 0
    explained: bool = False


def bring(target: Target, record: ModelRecord) -> None:
    """Import a registered model or prompt with its versions and aliases, and the files that only its versions have."""
    is_prompt = record.tags.get(PROMPT_TAG) == "true"
    fit = target.fit(f"model {record.name}")
    entity = Entity.PROMPT if is_prompt else Entity.MODEL
    name = target.plan.renames.models.get(record.name, record.name)
    model = _Model(record, name, fit, is_prompt)
    if not fit.passes(entity, "its name", lambda: rules.check_name(name)):
        fit.say(Loss.NOTE, entity, "rename it in the map file (rename: models:)")
        versions = sum(1 for _ in target.source.versions(record))
        there = {entity: 1, Entity.VERSION: versions, Entity.ALIAS: len(record.aliases)}
        target.tally.note(Entity.MODEL, None, fit.owner, there)
        return
    _begin(target, model, entity)
    for version in target.source.versions(record):
        model.versions += 1
        _bring_version(target, model, version)
    _end(target, model, entity)


def _begin(target: Target, model: _Model, entity: Entity) -> None:
    record, fit = model.record, model.fit
    if target.dry_run:
        with target.project.read() as tx:
            model.known = imported.one(tx, Entity.MODEL, record.name)
            model.id = store.id_of(tx, model.name) or 0
        return
    tags = _tags(record, fit, entity)
    description = fit.optional(entity, "its description", record.description, limits.MAX_DESCRIPTION)
    with target.project.write() as tx:
        model.known = imported.one(tx, Entity.MODEL, record.name)
        before = WrittenValues(model.known.written if model.known else "")
        here = store.get(tx, model.name)
        if here is None:
            model.id, model.known, before = _create(tx, target, model, description), None, WrittenValues("")
        else:
            model.id = here.id
            if model.known is not None and model.known.here != str(here.id):
                model.known, before = None, WrittenValues("")  # it has another name here now
            if model.known is None:
                fit.say(Loss.NOTE, entity, "a model with this name already existed here: versions are added to it")
            _describe(tx, model, entity, before, here.description, description)
            if model.known is not None:
                _move_on(tx, model, here.updated_ms)
        there = dict(here.tags) if here is not None else {}
        store.put_tags(tx, model.id, changes(fit, entity, tags, there, before))
        if not model.is_prompt:
            model.experiment_iid = experiments.make(tx, model.name)


def _create(tx: Transaction, target: Target, model: _Model, description: str | None) -> int:
    record = model.record
    user = target.plan.user(record.user) or USER
    made = store.create(tx, name=model.name, description=description, user_name=user)
    assert made is not None  # noqa: S101 - nobody has the name, and this transaction would know
    created_ms = tx.now if record.created_ms is None else record.created_ms
    updated_ms = created_ms if record.updated_ms is None else record.updated_ms
    registry.set_times(tx, made, created_ms=created_ms, updated_ms=updated_ms, user_name=user)
    promoted = [number for number, _ in promotions.taken(tx, made)]
    registry.reserve_numbers(tx, made, max(promoted, default=0))
    return made


def _describe(
    tx: Transaction, model: _Model, entity: Entity, before: WrittenValues, old: str | None, new: str | None
) -> None:
    if (new or "") == (old or ""):  # not every source tells an empty one from none
        return
    if not old or before.has("description", old):
        registry.describe(tx, model.id, new)
    else:
        model.fit.say(Loss.CHANGED, entity, "its description differs here, and is kept")


def _move_on(tx: Transaction, model: _Model, here_ms: int) -> None:
    """Have a model changed here when it was last changed at the source."""
    there_ms = model.record.updated_ms
    if there_ms is not None and there_ms > here_ms:
        registry.move_on(tx, model.id, there_ms)


def _tags(record: ModelRecord, fit: Fit, entity: Entity) -> dict[str, str]:
    return fit.pairs(
        entity, "tag", record.tags, most=rules.MAX_TAG_VALUE, check=lambda key: limits.check_key(key, "tag")
    )


def _end(target: Target, model: _Model, entity: Entity) -> None:
    """Set the aliases, once their versions are there, and remember the model."""
    record, fit = model.record, model.fit
    numbers = {entity: 1, Entity.VERSION: model.versions, Entity.ALIAS: len(record.aliases)}
    there = {one: count for one, count in numbers.items() if count}
    if not target.dry_run:
        with target.project.write() as tx:
            before = WrittenValues(model.known.written if model.known else "")
            ours = [("description", record.description or "")]
            ours += [(f"tag:{key}", value) for key, value in _tags(record, target.fit(fit.owner), entity).items()]
            for alias, number in record.aliases.items():
                if _set_alias(tx, target, model, alias, number, before):
                    ours.append((f"alias:{alias}", str(number)))
            registry.reserve_numbers(tx, model.id, record.last_number or 0)
            made = Imported(str(model.id), "", there, digests_of(ours))
            if model.known is None or model.known != made:
                imported.put(tx, Entity.MODEL, target.origin_id, [(record.name, made)])
    here = str(model.id) if model.id else None
    explained = fit.lost or model.explained or target.dry_run
    target.tally.note(Entity.MODEL, here, fit.owner, there, explained=explained)


def _set_alias(tx: Transaction, target: Target, model: _Model, alias: str, number: int, before: WrittenValues) -> bool:
    fit = model.fit
    name = target.plan.renames.aliases.get(alias, alias)
    if not fit.passes(Entity.ALIAS, f"the alias {alias[:60]!r}", lambda: rules.check_alias(name)):
        return False
    if version_store.get(tx, model.id, number) is None:
        fit.say(
            Loss.MISSING, Entity.ALIAS, f"the alias {alias!r} points to version {number}, which does not exist here"
        )
        return False
    now = alias_store.target(tx, model.id, name)
    if now == number:
        return True
    if now is None and before.has(f"alias:{alias}", str(number)):
        fit.say(Loss.CHANGED, Entity.ALIAS, f"the alias {name!r} was removed here since the import, and stays removed")
        return True
    if now is not None and not before.has(f"alias:{alias}", str(now)):
        loss, why = (
            (Loss.CLASH, "already existed here")
            if model.known is None
            else (Loss.CHANGED, "was moved here since the import")
        )
        fit.say(
            loss, Entity.ALIAS, f"the alias {name!r} {why}: here it points to version {now}, at the source to {number}"
        )
        return False
    alias_store.put(tx, model.id, name, number)
    why = f"imported from {target.source.address}"
    alias_store.record(tx, model.id, AliasMove(name, now, number, tx.now, USER, None, why[:1000]))
    return True


def _bring_version(target: Target, model: _Model, record: VersionRecord) -> None:
    fit = target.fit(f"version {record.number} of {model.record.name}")
    key = f"{record.model}/{record.number}"
    digest = _fingerprint_of(record)
    with target.project.read() as tx:
        known = imported.one(tx, Entity.VERSION, key)
        if known is not None and known.here != _here(model, record):
            known = None  # the model has another name here now
        here = registry.versions_here(tx, model.id).get(record.number) if model.id else None
    place_here = here.location if here is not None else None
    if known is not None and here is not None and target.is_same(known, digest):
        target.progress.skipped += 1
        target.tally.note(Entity.VERSION, key, fit.owner, known.counts, folder=place_here or None)
        return
    if here is not None and (known is None or not WrittenValues(known.written).has("made", _identity(record))):
        fit.say(
            Loss.CLASH,
            Entity.VERSION,
            "another version already has this number here, and was not changed. Rename the model in the map file "
            "(rename: models:)",
        )
    elif 0 < record.number <= _MAX_VERSION_NUMBER:
        _bring_content(target, model, record, fit, known, here)
    else:
        fit.say(Loss.REFUSED, Entity.VERSION, "its number is not 1 or more")
    model.explained = model.explained or fit.lost


def _bring_content(
    target: Target, model: _Model, record: VersionRecord, fit: Fit, known: Imported | None, here: VersionHere | None
) -> None:
    with target.project.read() as tx:
        place = Place() if model.is_prompt else version_sources.find(tx, target, record)
    if place is None and target.dry_run and version_sources.will_come(target, record):
        place = Place()
    brought: Brought | None = None
    if place is None:
        place, brought = version_sources.bring_own(target, record, fit, iid=model.experiment_iid)
    there = dict(brought.there) if brought is not None else {}
    key = f"{record.model}/{record.number}"
    if not target.dry_run:
        with target.project.write() as tx:
            if brought is not None:
                place = _with_own_run(tx, target, model, record, place, brought)
                files.store(tx, target, brought)
            ours = _write(tx, target, model, record, fit, place, known, here)
            made = Imported(
                _here(model, record),
                "" if fit.lost else target.marked(_fingerprint_of(record)),
                there,
                digests_of(ours),
            )
            imported.put(tx, Entity.VERSION, target.origin_id, [(key, made)])
    folder = brought.folder if brought is not None else None
    target.tally.note(
        Entity.VERSION,
        None if target.dry_run else key,
        fit.owner,
        there,
        folder=folder,
        explained=fit.lost or target.dry_run,
    )


def _with_own_run(
    tx: Transaction, target: Target, model: _Model, record: VersionRecord, place: Place, brought: Brought
) -> Place:
    run_iid = version_sources.run_of(tx, record)
    if place.location == brought.folder:
        name = f"{model.name} {record.number}"[: limits.MAX_RUN_NAME]
        owner = version_sources.own_run(tx, target, record, iid=model.experiment_iid, name=name)
        run_iid = run_iid if run_iid is not None else owner
    return Place(place.location, run_iid, place.logged_model_id, place.source)


def _write(  # noqa: PLR0913, PLR0917 - what it is, was and becomes
    tx: Transaction,
    target: Target,
    model: _Model,
    record: VersionRecord,
    fit: Fit,
    place: Place,
    known: Imported | None,
    here: VersionHere | None,
) -> list[tuple[str, str]]:
    """Write a version, and return what may be changed here."""
    tags = fit.pairs(
        Entity.VERSION,
        "tag",
        target.tags(record.tags),
        most=rules.MAX_TAG_VALUE,
        check=lambda key: limits.check_key(key, "tag"),
    )
    description = fit.optional(Entity.VERSION, "its description", record.description, limits.MAX_DESCRIPTION)
    stage = _stage(record, fit)
    before = WrittenValues(known.written if known else "")
    if here is None:
        wanted = record.semver or tags.get(VERSION_TAG)
        name = _semver(tx, model.id, record.number, wanted, fit)
        if VERSION_TAG in tags:
            tags[VERSION_TAG] = name
        _add(tx, target, model, record, fit, place, name, description, stage)
    else:
        _change(tx, model, fit, here, before, description, stage)
        if place.location and not here.location:
            registry.change_version(
                tx, model.id, record.number, location=place.location, source=place.source or record.source
            )
    there = {} if here is None else _tags_here(tx, model.id, record.number)
    version_store.put_tags(tx, model.id, record.number, changes(fit, Entity.VERSION, tags, there, before))
    fields = [("made", _identity(record)), ("description", description or ""), ("stage", stage)]
    return [*fields, *((f"tag:{key}", value) for key, value in tags.items())]


def _tags_here(tx: Transaction, model_id: int, number: int) -> dict[str, str]:
    version = version_store.get(tx, model_id, number)
    return dict(version.tags) if version is not None else {}


def _add(  # noqa: PLR0913, PLR0917 - the columns of a row
    tx: Transaction,
    target: Target,
    model: _Model,
    record: VersionRecord,
    fit: Fit,
    place: Place,
    name: str,
    description: str | None,
    stage: VersionStage,
) -> None:
    created_ms = tx.now if record.created_ms is None else record.created_ms
    run_iid = place.candidate_iid if place.candidate_iid is not None else version_sources.run_of(tx, record)
    registry.add_version(
        tx,
        NewVersion(
            model.id,
            record.number,
            name,
            run_iid,
            place.logged_model_id,
            place.source or _shown_source(record, fit),
            place.location,
            fit.optional(Entity.VERSION, "the link to its run", record.run_link, limits.MAX_LOCATION),
            description,
            fit.text(Entity.VERSION, "its user's name", target.plan.user(record.user) or USER, limits.MAX_USER_NAME),
            stage,
            created_ms,
            created_ms if record.updated_ms is None else record.updated_ms,
        ),
        origin_id=target.origin_id,
    )
    registry.reserve_numbers(tx, model.id, record.number)


def _shown_source(record: VersionRecord, fit: Fit) -> str:
    """Return the source as it was, if no password is in it: there is no other way to its files."""
    source = record.source
    if "@" in source or "?" in source:
        return ""
    return fit.text(Entity.VERSION, "its source", source, limits.MAX_LOCATION)


def _change(  # noqa: PLR0917 - what it is, was and becomes
    tx: Transaction,
    model: _Model,
    fit: Fit,
    here: VersionHere,
    before: WrittenValues,
    description: str | None,
    stage: VersionStage,
) -> None:
    changed: dict[str, object] = {}
    for name, now, new in (("description", here.description, description), ("stage", here.stage, stage)):
        if now != new and before.has(name, now or ""):
            changed[name] = new
        elif now != new:
            fit.say(Loss.CHANGED, Entity.VERSION, f"its {name} was changed here since the import, and is kept")
    if here.deleted:
        fit.say(Loss.CHANGED, Entity.VERSION, "it was deleted here since the import, and stays deleted")
    if changed:
        registry.change_version(tx, model.id, here.number, **changed)


def _stage(record: VersionRecord, fit: Fit) -> VersionStage:
    stage = rules.read_stage(record.stage or "None")
    if stage is None:
        fit.say(Loss.CHANGED, Entity.VERSION, f"its stage is {record.stage[:40]!r}, which is unknown to MLflow")
    if record.status != "READY":
        fit.say(Loss.NOTE, Entity.VERSION, f"its status was {record.status[:40]}; here, versions are always READY")
    return stage or VersionStage.NONE


def _semver(tx: Transaction, model_id: int, number: int, wanted: str | None, fit: Fit) -> str:
    """Return the semver of a new version: the one that it has at the source, or 1.0.0 for number 1, 1.0.1 for number 2,
    and so on.
    """
    taken = {*version_store.all_semvers(tx, model_id), *(name for _, name in promotions.taken(tx, model_id))}
    if wanted and semver.read(wanted) is not None and wanted not in taken:
        return wanted
    of_number = f"1.0.{number - 1}"
    made = of_number if of_number not in taken else semver.following(max(taken, key=semver.parse), taken=taken)
    if wanted:
        why = "is taken" if wanted in taken else "is not a semantic version"
        fit.say(Loss.CHANGED, Entity.VERSION, f"its semantic version {wanted[:60]!r} {why}; it is {made} here")
    return made


def _here(model: _Model, record: VersionRecord) -> str:
    return f"{model.id}/{record.number}"


def _identity(record: VersionRecord) -> str:
    """What tells a version from another one of the same number, of another server."""
    return f"{record.created_ms}"


def _fingerprint_of(record: VersionRecord) -> str:
    return fingerprint(
        (record.created_ms, record.updated_ms, record.run_id, record.logged_model_id),
        (record.description, record.stage, record.status, record.semver),
        sorted(record.tags.items()),
    )
