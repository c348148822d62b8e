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
from mltrail_server.store.tracking import candidates, inputs, metric_keys, metrics, params, usage
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Dataset, ModelLink
from mltrail_server.store.tracking.metrics import ModelPoint

from . import evidence, job_claims, quotas, stamp
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

    A metric's exact repetition and a parameter's same value again are no errors, so that a client whose answer was lost
    can send again. Raises INVALID for a parameter that is there with another value.
    """
    if not all(math.isfinite(point.value) for point in points):
        points = [_finite(point) for point in points]
        of_models = [replace(one, point=_finite(one.point)) for one in of_models]
    by_key = _once(new_params)
    # An empty name changes nothing, as in MLflow.
    wanted = {key: value for key, value in tags if value or key != NAME_TAG}
    limits.check_run_name(wanted.get(NAME_TAG, ""))
    claim = job_claims.look_up(scope, wanted)
    known = scope.deps.metric_key_cache.of(scope.project_id)

    def store(tx: Transaction) -> Mapping[str, int]:
        candidate, number = writable(tx, scope, eid, _kinds(points, by_key, wanted), wanted)
        own = number == candidate.iid
        changed = params.add(tx, number, by_key)
        if not own and not changed:
            changed = params.others(tx, candidate.iid, by_key)
        if changed:
            key, old = next(iter(changed.items()))
            raise invalid(Reason.PARAM_CHANGED, key=key, eid=eid, old=old, new=by_key[key])
        numbers = metric_keys.make(tx, {point.key for point in points}, known=known)
        metrics.append(tx, number, points, numbers=numbers)
        if of_models:
            _measure(tx, scope, candidate, of_models, own=own)
        if wanted:
            kept = stamp.on_tags(tx, scope, candidate.iid, wanted, claim)
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


def delete_tag(scope: Scope, eid: str, key: str) -> None:
    stamp.on_delete_tag(scope, key)
    with scope.project.write() as tx:
        candidate, number = writable(tx, scope, eid, {WriteKind.TAGS}, [key])
        if not evidence.delete_tag(tx, candidate, key, own=number == candidate.iid):
            raise not_found(Reason.NO_RUN_TAG, eid=eid, key=key)


def log_inputs(scope: Scope, eid: str, *, datasets: Sequence[Dataset], models: Sequence[ModelLink] = ()) -> None:
    """Note which data and which logged models a candidate used (or gave out: see `ModelLink.direction`)."""
    for one in datasets:
        sizes = {"name": one.name, "digest": one.digest, "source": one.source, "schema": one.schema}
        limits.check_dataset(sizes | {"profile": one.profile}, one.tags)
    with scope.project.write() as tx:
        candidate, number = writable(tx, scope, eid, {WriteKind.INPUTS})
        inputs.add_datasets(tx, number, experiment_iid=candidate.experiment_iid, datasets=datasets)
        inputs.add_models(tx, number, models)


def _kinds(points: Sequence[Point], by_key: Mapping[str, str], tags: Mapping[str, str]) -> set[WriteKind]:
    told = {
        WriteKind.METRICS: bool(points),
        WriteKind.PARAMS: bool(by_key),
        WriteKind.TAGS: bool(tags),
        WriteKind.NAME: NAME_TAG in tags,
    }
    return {kind for kind, there in told.items() if there}


def _measure(tx: Transaction, scope: Scope, candidate: Candidate, points: Sequence[ModelPoint], *, own: bool) -> None:
    """Store metrics of logged models. Of a model that jobs have logged, only jobs of their pipelines say what it is
    worth; what others have measured is kept beside that, and stands with the run that has logged it.
    """
    wanted = {point.model_id for point in points}
    sources = metrics.sources_of(tx, wanted)
    if wanted - sources.keys():
        raise not_found(Reason.NO_LOGGED_MODEL_TO_LINK, model_id=min(wanted - sources.keys()))
    beside = set()
    for model_id, source_eid in sources.items():
        if source_eid == candidate.eid:
            allowed = own
        else:
            source = candidates.get(tx, source_eid) if source_eid else None
            allowed = source is None or stamp.may_measure(tx, scope, source)
        if not allowed:
            beside.add(model_id)
    metrics.append_to_models(tx, candidate.eid, points, beside=beside)


def _finite(point: Point) -> Point:
    """Keep infinity as the largest number there is, as MLflow does."""
    largest = sys.float_info.max
    if -largest <= point.value <= largest or point.value != point.value:
        return point
    value = largest if point.value > 0 else -largest
    return Point(point.key, value, point.timestamp_ms, point.step)


def _once(new_params: Sequence[tuple[str, str]]) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for key, value in new_params:
        if key in by_key:
            raise invalid(Reason.PARAM_TWICE, key=key)
        # MLflow cuts long values too (MLFLOW_TRUNCATE_LONG_VALUES), and clients count on it.
        by_key[key] = value[: limits.MAX_PARAM_VALUE]
    return by_key
