"""Log metrics, parameters and tags: what a training loop waits for."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import at_once, candidates, inputs, metric_keys, metrics, params, usage
from mltrail_server.store.tracking.at_once import Batch
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Dataset, ModelLink
from mltrail_server.store.tracking.metrics import ModelPoint

from . import evidence, quotas, stamp
from .candidates import NAME_TAG, writable
from .evidence import WriteKind


def log_batch(
    scope: Scope,
    eid: str,
    *,
    points: Sequence[Point] = (),
    new_params: Sequence[tuple[str, str]] = (),
    tags: Sequence[tuple[str, str]] = (),
    of_models: Sequence[ModelPoint] = (),
) -> None:
    """Store a batch, whole or not at all, in one transaction and a fixed number of statements.

    Sending the same metric point or parameter value twice is no error, so that a client can send again after a lost
    answer. Raises INVALID for a parameter that has another value already.
    """
    points = _finite_ones(points)
    of_models = [replace(measured, point=_finite(measured.point)) for measured in of_models]
    by_key = _without_duplicates(new_params)
    # An empty name changes nothing, as in MLflow.
    new_tags = {key: value for key, value in tags if value or key != NAME_TAG}
    limits.check_run_name(new_tags.get(NAME_TAG, ""))
    claim = stamp.look_up_claim(scope, new_tags)
    known = scope.deps.metric_key_cache.of(scope.project_id)
    if not of_models and claim is None and _log_at_once(scope, eid, Batch(points, by_key, new_tags, known)):
        return

    def store(tx: Transaction) -> Mapping[str, int]:
        candidate, number = writable(tx, scope, eid, _kinds(points, by_key, new_tags), new_tags)
        own = number == candidate.iid
        changed = params.add(tx, number, by_key)
        if not own and not changed:
            changed = params.conflicting(tx, candidate.iid, by_key)
        if changed:
            key, old = next(iter(changed.items()))
            raise invalid(Reason.PARAM_CHANGED, key=key, eid=eid, old=old, new=by_key[key])
        numbers = metric_keys.make(tx, {point.key for point in points}, known=known)
        metrics.append(tx, number, points, numbers=numbers)
        if of_models:
            _measure(tx, scope, candidate, of_models, own=own)
        if new_tags:
            kept = stamp.on_tags(tx, scope, candidate.iid, new_tags, claim)
            evidence.put_tags(tx, candidate, kept, own=own)
            if kept.get(NAME_TAG):
                candidates.change(tx, candidate.iid, name=kept[NAME_TAG])
        quotas.take(tx, scope, usage.POINTS, len(points))
        return numbers

    try:
        numbers = scope.project.write_together(store)
    except Exception:
        if scope.actor.job is not None:
            scope.deps.job_cache.forget(scope.project_id, scope.actor.job.job_id)
        raise
    scope.deps.metric_key_cache.learn(scope.project_id, numbers)


def _log_at_once(scope: Scope, eid: str, batch: Batch) -> bool:
    """Log a batch in one statement on PostgreSQL, and return whether that has worked: see `store.tracking.at_once`.

    What it never tries: new names of metrics, a new name of the run, tags that only the server writes, and limits.
    """
    vouching = None if scope.deps.db.is_sqlite else stamp.vouching(scope)
    limited = scope.deps.settings.quota(usage.POINTS) is not None
    if vouching is None or limited or not (batch.points or batch.params or batch.tags):
        return False
    if NAME_TAG in batch.tags or not batch.tags.keys().isdisjoint(stamp.reserved(scope)):
        return False
    if any(point.key not in batch.numbers for point in batch.points):
        return False
    job_id = scope.actor.job.job_id if scope.actor.job is not None else None
    with scope.project.at_once() as tx:
        return at_once.log(tx, eid, batch, vouching=vouching, job_id=job_id)


def delete_tag(scope: Scope, eid: str, key: str) -> None:
    stamp.on_delete_tag(scope, key)
    with scope.project.write() as tx:
        candidate, number = writable(tx, scope, eid, {WriteKind.TAGS}, [key])
        if not evidence.delete_tag(tx, candidate, key, own=number == candidate.iid):
            raise not_found(Reason.NO_RUN_TAG, eid=eid, key=key)


def log_inputs(scope: Scope, eid: str, *, datasets: Sequence[Dataset], models: Sequence[ModelLink] = ()) -> None:
    """Note which datasets and logged models a candidate used (or produced: see `ModelLink.direction`).

    The same again is no error. Raises INVALID for a model that is noted at another step.
    """
    for dataset in datasets:
        sizes = {"name": dataset.name, "digest": dataset.digest, "source": dataset.source, "schema": dataset.schema}
        limits.check_dataset(sizes | {"profile": dataset.profile}, dataset.tags)
    with scope.project.write() as tx:
        candidate, number = writable(tx, scope, eid, {WriteKind.INPUTS})
        inputs.add_datasets(tx, number, experiment_iid=candidate.experiment_iid, datasets=datasets)
        changed = inputs.add_models(tx, number, models)
        if changed:
            model_id, step = next(iter(changed.items()))
            raise invalid(
                f"The run {eid} has the logged model {model_id} at step {step} already, and that can't change. Log "
                "another model for another step."
            )


def _kinds(points: Sequence[Point], by_key: Mapping[str, str], tags: Mapping[str, str]) -> set[WriteKind]:
    written = {
        WriteKind.METRICS: bool(points),
        WriteKind.PARAMS: bool(by_key),
        WriteKind.TAGS: bool(tags),
        WriteKind.NAME: NAME_TAG in tags,
    }
    return {kind for kind, present in written.items() if present}


def _measure(tx: Transaction, scope: Scope, candidate: Candidate, points: Sequence[ModelPoint], *, own: bool) -> None:
    """Store metrics of logged models. For a model that jobs have logged, only metrics of jobs of their pipelines count;
    what others have measured is kept as an amendment of the run that logs it.
    """
    model_ids = {point.model_id for point in points}
    sources = metrics.sources_of(tx, model_ids)
    if model_ids - sources.keys():
        raise not_found(Reason.NO_LOGGED_MODEL_TO_LINK, model_id=min(model_ids - sources.keys()))
    amending = set()
    for model_id, source_eid in sources.items():
        if source_eid == candidate.eid:
            counts = own
        else:
            source = candidates.get(tx, source_eid) if source_eid else None
            counts = source is None or stamp.may_measure(tx, scope, source)
        if not counts:
            amending.add(model_id)
    metrics.append_to_models(tx, candidate.eid, points, beside=amending)


def _finite_ones(points: Sequence[Point]) -> Sequence[Point]:
    return points if all(math.isfinite(point.value) for point in points) else [_finite(point) for point in points]


def _finite(point: Point) -> Point:
    """Keep infinity as the largest number there is, as MLflow does."""
    largest = sys.float_info.max
    if -largest <= point.value <= largest or point.value != point.value:
        return point
    value = largest if point.value > 0 else -largest
    return Point(point.key, value, point.timestamp_ms, point.step)


def _without_duplicates(new_params: Sequence[tuple[str, str]]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for key, value in new_params:
        if key in by_key:
            raise invalid(Reason.PARAM_TWICE, key=key)
        # MLflow cuts long values too (MLFLOW_TRUNCATE_LONG_VALUES), and clients count on it.
        by_key[key] = value[: limits.MAX_PARAM_VALUE]
    return by_key
