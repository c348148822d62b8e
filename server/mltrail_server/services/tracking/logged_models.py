"""Create, finish, find and delete the models that MLflow 3 logs."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_server.domain import filters, limits
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.ids import new_logged_model_id
from mltrail_server.domain.model import check_visible
from mltrail_server.domain.random_names import random_name
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.store.db.paging import mark_of
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidate_tags, candidates, logged_models
from mltrail_server.store.tracking.logged_models import (
    LoggedModel,
    LoggedModelOrder,
    MeasuredOn,
    ModelMetric,
    ModelStatus,
)

from . import evidence, experiments, stamp
from .candidates import writable
from .evidence import WriteKind

MAX_RESULTS = 1000
HISTORY_TAG = "mlflow.log-model.history"
VERSIONS_TAG = "mlflow.modelVersions"
_BAD_NAME = re.compile(r"[/:.%\"']")


@dataclass(frozen=True, slots=True)
class LoggedModelData:
    model: LoggedModel
    tags: list[tuple[str, str]]
    params: list[tuple[str, str]]
    metrics: list[ModelMetric]
    registrations: list[tuple[str, int]]  # model and number of each version that it was registered as


def create(
    scope: Scope,
    *,
    experiment_iid: int,
    name: str = "",
    model_type: str = "",
    source_eid: str = "",
    tags: Iterable[tuple[str, str]] = (),
    params: Iterable[tuple[str, str]] = (),
) -> LoggedModelData:
    """Create a logged model; its files follow, and then it is finished.

    Raises NOT_FOUND for an unknown experiment or run.
    """
    if _BAD_NAME.search(name):
        raise invalid(f"Invalid model name '{name}': it must not hold any of / : . % \" '.")
    check_visible(name)
    tags, params = list(tags), _checked_params(params)
    for key, value in tags:
        limits.check_tag(key, value)
    model_id = new_logged_model_id()
    beside = False
    with scope.project.write() as tx:
        experiment = experiments.existing(tx, experiment_iid)
        experiments.check_active(experiment)
        place = experiment.artifact_location
        if source_eid:
            candidate = candidates.get(tx, source_eid)
            if candidate is None:
                raise not_found(Reason.NO_RUN, eid=source_eid)
            protection.check_frozen(scope, candidate)
            beside = stamp.on_write(tx, scope, candidate, {WriteKind.MODELS}) != candidate.iid
        else:
            stamp.check_may_begin(scope)
        model = LoggedModel(
            model_id,
            experiment_iid,
            name or random_name(),
            model_type,
            source_eid,
            ModelStatus.PENDING,
            None,
            Stage.ACTIVE,
            tx.now,
            tx.now,
            beside,
            f"{place}/models/{model_id}/artifacts" if place else None,
        )
        logged_models.create(tx, model)
        logged_models.put_tags(tx, model_id, tags)
        logged_models.add_params(tx, model_id, params)
        return _with_data(tx, [model])[0]


def get(scope: Scope, model_id: str, *, deleted_too: bool = False) -> LoggedModelData:
    with scope.project.read() as tx:
        return _with_data(tx, [_existing(tx, model_id, deleted_too=deleted_too)])[0]


def finish(scope: Scope, model_id: str, status: ModelStatus) -> LoggedModelData:
    with scope.project.write() as tx:
        _note_writer(tx, scope, model_id)
        logged_models.change(tx, model_id, status=status, updated_ms=tx.now)
        return _with_data(tx, [_existing(tx, model_id)])[0]


def delete(scope: Scope, model_id: str) -> None:
    """Delete a logged model. Doing it twice is no error."""
    with scope.project.write() as tx:
        _note_writer(tx, scope, model_id, deleted_too=True)
        logged_models.change(tx, model_id, stage=Stage.DELETED, updated_ms=tx.now)


def set_tags(scope: Scope, model_id: str, tags: Iterable[tuple[str, str]]) -> None:
    tags = list(tags)
    for key, value in tags:
        limits.check_tag(key, value)
    with scope.project.write() as tx:
        _note_writer(tx, scope, model_id, note=True)
        logged_models.put_tags(tx, model_id, tags)


def delete_tag(scope: Scope, model_id: str, key: str) -> None:
    with scope.project.write() as tx:
        _note_writer(tx, scope, model_id, note=True)
        if not logged_models.delete_tag(tx, model_id, key):
            raise not_found(Reason.NO_LOGGED_MODEL_TAG, model_id=model_id, key=key)


def add_params(scope: Scope, model_id: str, params: Iterable[tuple[str, str]]) -> None:
    params = _checked_params(params)
    with scope.project.write() as tx:
        _note_writer(tx, scope, model_id)
        changed = logged_models.add_params(tx, model_id, params)
        if changed:
            raise invalid(f"The parameter '{min(changed)}' of {model_id} has another value already; it can't change.")


def add_to_history(scope: Scope, eid: str, entry: dict[str, Any]) -> None:
    """Keep what MLflow 1 and 2 send about a model that they log as files, in the tag where they look for it."""
    with scope.project.write() as tx:
        candidate, number = writable(tx, scope, eid, {WriteKind.MODELS})
        kept = candidate_tags.get(tx, candidate.iid, HISTORY_TAG)
        history = json.dumps([*_history(kept), entry])
        if len(history) > limits.MAX_MODEL_HISTORY:
            raise invalid(
                f"What this run says about its models exceeds the maximum length of {limits.MAX_MODEL_HISTORY} "
                "characters together."
            )
        own = number == candidate.iid
        evidence.put_tags(tx, candidate, {HISTORY_TAG: history}, own=own)


def note_version(tx: Transaction, model_id: str, *, name: str, number: int) -> None:
    """Note, in the tag that MLflow keeps for it, which version was made from a logged model."""
    logged_models.lock(tx, model_id)
    kept = dict(logged_models.tags_of(tx, [model_id]).get(model_id, []))
    made = {"name": name, "version": number}
    known = [entry for entry in _history(kept.get(VERSIONS_TAG)) if entry != made]
    # The oldest are dropped if there is no room; `registrations` lists all versions.
    while known and len(json.dumps([*known, made])) > limits.MAX_EXPERIMENT_TAG_VALUE:
        known.pop(0)
    logged_models.put_tags(tx, model_id, [(VERSIONS_TAG, json.dumps([*known, made]))])


def search(
    scope: Scope,
    *,
    experiment_iids: Sequence[int],
    filter_text: str,
    datasets: Sequence[MeasuredOn],
    orders: Sequence[LoggedModelOrder],
    limit: int,
    token: str | None,
) -> tuple[list[LoggedModelData], str | None]:
    """Return a page of logged models, newest first where `orders` leave it open. Five statements."""
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
    clauses = filters.parse(filter_text)
    conditions = logged_models.conditions(clauses, datasets)
    order_by = [column for order in orders for column in logged_models.order(order)]
    with scope.project.slow_read() as tx:
        matches, next_token = logged_models.search(
            tx,
            experiment_iids=experiment_iids,
            conditions=conditions,
            order=order_by,
            limit=limit,
            token=token,
            mark=mark_of("logged models", sorted(experiment_iids), clauses, datasets, orders),
        )
        return _with_data(tx, matches), next_token


def _history(text: str | None) -> list[Any]:
    try:
        history = json.loads(text or "[]")
    except (ValueError, RecursionError):
        # Somebody has set the tag by hand; what can't be read is not kept.
        return []
    return history if isinstance(history, list) else []


def _checked_params(params: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Check the keys, and cut long values as those of a run are cut."""
    kept = [(key, value[: limits.MAX_PARAM_VALUE]) for key, value in params]
    for key, _ in kept:
        limits.check_key(key, "parameter")
    return kept


def _note_writer(
    tx: Transaction, scope: Scope, model_id: str, *, deleted_too: bool = False, note: bool = False
) -> None:
    """Check that a logged model may be changed, and note who writes: it is part of the candidate that made it."""
    model = _existing(tx, model_id, deleted_too=deleted_too)
    source = candidates.get(tx, model.source_eid) if model.source_eid else None
    if source is None:
        stamp.check_may_begin(scope)
    else:
        protection.check_frozen(scope, source)
        stamp.on_model_write(tx, scope, model, source, note=note)


def _existing(tx: Transaction, model_id: str, *, deleted_too: bool = False) -> LoggedModel:
    model = logged_models.get(tx, model_id)
    if model is None or (model.stage is Stage.DELETED and not deleted_too):
        raise not_found(Reason.NO_LOGGED_MODEL, model_id=model_id)
    return model


def _with_data(tx: Transaction, models: list[LoggedModel]) -> list[LoggedModelData]:
    ids = [model.model_id for model in models]
    if not ids:
        return []
    tags = logged_models.tags_of(tx, ids)
    params = logged_models.params_of(tx, ids)
    metrics = logged_models.metrics_of(tx, ids)
    registrations = logged_models.registrations_of(tx, ids)
    return [
        LoggedModelData(
            model,
            tags.get(model.model_id, []),
            params.get(model.model_id, []),
            metrics.get(model.model_id, []),
            registrations.get(model.model_id, []),
        )
        for model in models
    ]
