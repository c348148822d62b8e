"""Import the logged models of an experiment."""

import sys
from collections.abc import Sequence

from mltrail_server.domain import limits
from mltrail_server.domain.batches import batches
from mltrail_server.domain.candidate import Point, Stage
from mltrail_server.domain.ids import is_eid
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.transfer import Entity, ExperimentRecord, LoggedModelRecord, Loss
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.imports import imported
from mltrail_server.store.imports.imported import Imported
from mltrail_server.store.tracking import logged_models, metrics
from mltrail_server.store.tracking.logged_models import LoggedModel, ModelStatus
from mltrail_server.store.tracking.metrics import ModelPoint

from . import files
from .experiments import changes
from .files import Before, Brought
from .fit_to_limits import Fit
from .target import Target
from .written_values import WrittenValues, digests_of, fingerprint

_AT_ONCE = 100
_MAX_ID = 64
_LARGEST = sys.float_info.max
_STATUSES = {
    "PENDING": ModelStatus.PENDING,
    "READY": ModelStatus.READY,
    "UPLOAD_FAILED": ModelStatus.UPLOAD_FAILED,
}


def bring(target: Target, experiment: ExperimentRecord, iid: int | None) -> None:
    """Import an experiment's logged models with their files. `iid` is its number here, None in a dry run without it."""
    for batch in batches(target.source.logged_models(experiment), _AT_ONCE):
        ids = [record.id for record in batch]
        with target.project.read() as tx:
            known = imported.of(tx, Entity.LOGGED_MODEL, ids)
            here = {one: model for one in ids if (model := logged_models.get(tx, one)) is not None}
        for record in {one.id: one for one in batch}.values():  # one that came meanwhile can be on two pages
            _bring_one(target, record, iid, known.get(record.id), here.get(record.id))


def _bring_one(
    target: Target, record: LoggedModelRecord, iid: int | None, known: Imported | None, here: LoggedModel | None
) -> None:
    fit = target.fit(f"logged model {record.id}")
    there = {Entity.LOGGED_MODEL: 1, Entity.MODEL_METRIC: len(_distinct(record))}
    place = here.experiment_iid if here is not None else iid or 0
    folder = Owner(place, logged_model_id=record.id).folder
    digest = _fingerprint_of(record)
    if known is not None and here is not None and target.is_same(known, digest):
        target.progress.skipped += 1
        target.tally.note(Entity.LOGGED_MODEL, record.id, fit.owner, known.counts, folder=folder)
        return
    if not _has_room(record, fit, clashes=here is not None and known is None):
        target.tally.note(Entity.LOGGED_MODEL, None, fit.owner, there)
        return
    before = WrittenValues(known.written if known else "")
    brought = _files(target, record, fit, folder, here, before)
    there |= brought.there
    if target.dry_run:
        target.coming.add(record.id)
    else:
        with target.project.write() as tx:
            tags = _tags(record, fit)
            _write(tx, record, fit, place, here, before, tags, brought.elsewhere)
            files.store(tx, target, brought)
            kept = "" if fit.lost or record.status == "PENDING" else target.marked(digest)
            made = Imported(record.id, kept, there, _changeable(record, tags, brought))
            imported.put(tx, Entity.LOGGED_MODEL, target.origin_id, [(record.id, made)])
    here_id = record.id if here is not None or not target.dry_run else None
    target.tally.note(
        Entity.LOGGED_MODEL, here_id, fit.owner, there, folder=folder, explained=fit.lost or target.dry_run
    )


def _changeable(record: LoggedModelRecord, tags: dict[str, str], brought: Brought) -> str:
    """Return the values that people may change here."""
    ours = [("status", record.status), ("stage", str(record.deleted)), *brought.written]
    return digests_of([*ours, *((f"tag:{key}", value) for key, value in tags.items())])


def _has_room(record: LoggedModelRecord, fit: Fit, *, clashes: bool) -> bool:
    """Return whether a logged model can have its id here."""
    if clashes:
        fit.say(Loss.CLASH, Entity.LOGGED_MODEL, "a logged model with this ID already existed here and was not changed")
    elif not is_eid(record.id) or len(record.id) > _MAX_ID:
        fit.say(Loss.REFUSED, Entity.LOGGED_MODEL, "its ID has characters other than letters, digits, '-' and '_'")
    else:
        return True
    return False


def _files(
    target: Target, record: LoggedModelRecord, fit: Fit, folder: str, here: LoggedModel | None, before: WrittenValues
) -> Brought:
    if here is not None and here.elsewhere:
        return Brought(folder)
    earlier = Before(written=before)
    if here is not None:
        with target.project.read() as tx:
            earlier = Before(files.here(tx, folder), before, again=here.status is ModelStatus.PENDING)
    return files.bring(target, record, fit, uri=record.artifact_uri, folder=folder, before=earlier)


def _write(  # noqa: PLR0913, PLR0917 - what it is, was and becomes
    tx: Transaction,
    record: LoggedModelRecord,
    fit: Fit,
    iid: int,
    here: LoggedModel | None,
    before: WrittenValues,
    tags: dict[str, str],
    elsewhere: str | None,
) -> None:
    status = _STATUSES.get(record.status)
    if status is None:
        fit.say(
            Loss.CHANGED,
            Entity.LOGGED_MODEL,
            f"its status {record.status[:40]!r} is unknown to MLflow; here it is READY",
        )
        status = ModelStatus.READY
    stage = Stage.DELETED if record.deleted else Stage.ACTIVE
    if here is None:
        logged_models.create(tx, _model(record, fit, iid, status, stage, elsewhere))
    else:
        new = {"status": status, "status_message": record.status_message, "updated_ms": record.updated_ms}
        if stage is not here.stage and before.has("stage", str(here.stage is Stage.DELETED)):
            new["stage"] = stage
        logged_models.change(tx, record.id, **new)
    there = dict(logged_models.tags_of(tx, [record.id]).get(record.id, []))
    logged_models.put_tags(tx, record.id, changes(fit, Entity.LOGGED_MODEL, tags, there, before).items())
    _add_params(tx, record, fit)
    _add_metrics(tx, record, fit)


def _model(
    record: LoggedModelRecord, fit: Fit, iid: int, status: ModelStatus, stage: Stage, elsewhere: str | None
) -> LoggedModel:
    return LoggedModel(
        record.id,
        iid,
        fit.text(Entity.LOGGED_MODEL, "its name", record.name, limits.MAX_LOGGED_MODEL_NAME),
        fit.text(Entity.LOGGED_MODEL, "its type", record.model_type, limits.MAX_LOGGED_MODEL_NAME),
        fit.text(Entity.LOGGED_MODEL, "its run", record.source_run_id, _MAX_ID),
        status,
        fit.optional(Entity.LOGGED_MODEL, "its message", record.status_message),
        stage,
        record.created_ms,
        record.updated_ms,
        elsewhere=elsewhere,
    )


def _tags(record: LoggedModelRecord, fit: Fit) -> dict[str, str]:
    return fit.pairs(
        Entity.LOGGED_MODEL,
        "tag",
        record.tags,
        most=limits.MAX_EXPERIMENT_TAG_VALUE,
        check=lambda key: limits.check_key(key, "tag"),
    )


def _add_params(tx: Transaction, record: LoggedModelRecord, fit: Fit) -> None:
    params = fit.pairs(
        Entity.LOGGED_MODEL,
        "parameter",
        record.params,
        most=limits.MAX_PARAM_VALUE,
        check=lambda key: limits.check_key(key, "parameter"),
    )
    if params:
        for key in sorted(logged_models.add_params(tx, record.id, params.items())):
            fit.say(Loss.CHANGED, Entity.LOGGED_MODEL, f"the parameter {key!r} has another value here, which is kept")


def _add_metrics(tx: Transaction, record: LoggedModelRecord, fit: Fit) -> None:
    by_run: dict[str, list[ModelPoint]] = {}
    for one in record.metrics:
        if fit.passes(
            Entity.MODEL_METRIC,
            f"the metric {one.key[:60]!r}",
            lambda key=one.key: limits.check_key(key, "metric"),  # type: ignore[misc] # mypy infers no lambda with a default
        ):
            value = one.value if one.value != one.value else max(-_LARGEST, min(_LARGEST, one.value))
            point = Point(one.key, value, one.timestamp_ms, one.step)
            name = fit.text(Entity.MODEL_METRIC, "a dataset's name", one.dataset_name, limits.MAX_DATASET["name"])
            digest = fit.text(Entity.MODEL_METRIC, "a dataset's digest", one.dataset_digest, _MAX_ID)
            run = fit.text(Entity.MODEL_METRIC, "a run's id", one.run_id, _MAX_ID)
            by_run.setdefault(run, []).append(ModelPoint(record.id, point, name, digest))
    for run, points in by_run.items():
        metrics.append_to_models(tx, run, points, beside=())


def _distinct(record: LoggedModelRecord) -> set[Sequence[object]]:
    return {(one.key, one.run_id, one.step, one.timestamp_ms) for one in record.metrics}


def _fingerprint_of(record: LoggedModelRecord) -> str:
    return fingerprint(
        (record.name, record.model_type, record.source_run_id, record.status, record.status_message, record.deleted),
        sorted(record.params.items()),
        sorted(record.tags.items()),
        sorted(map(repr, record.metrics)),
    )
