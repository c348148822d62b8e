"""Log metrics, parameters and tags: what a training loop waits for."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from mltrail_server.domain import limits
from mltrail_server.domain.candidate import Point
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.store import candidate_tags, candidates, inputs, logged_metrics, metric_keys, metrics, params, usage
from mltrail_server.store.inputs import Dataset, ModelLink
from mltrail_server.store.logged_metrics import ModelPoint

from . import job_claims, quotas, stamp
from .candidates import NAME_TAG, writable
from .deps import Scope


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
    known = scope.deps.metric_keys.of(scope.project_id)

    def store(connection: sa.Connection) -> Mapping[str, int]:
        candidate = writable(connection, scope, eid)
        changed = params.add(connection, scope.project_id, candidate.iid, by_key)
        if changed:
            key, old = next(iter(changed.items()))
            raise invalid(
                f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' "
                f"for run ID='{eid}'. Attempted logging new value '{by_key[key]}'. Log it under another name, or in a "
                "new run."
            )
        numbers = metric_keys.make(connection, scope.project_id, {point.key for point in points}, known=known)
        metrics.append(connection, scope.project_id, candidate.iid, points, numbers=numbers)
        unknown = logged_metrics.append(connection, scope.project_id, eid, of_models)
        if unknown:
            raise not_found(f"Logged model with ID '{min(unknown)}' not found")
        if wanted:
            kept = stamp.on_tags(connection, scope, candidate.iid, wanted, claim)
            candidate_tags.put(connection, scope.project_id, candidate.iid, kept)
            if kept.get(NAME_TAG):
                candidates.change(connection, scope.project_id, candidate.iid, name=kept[NAME_TAG])
        quotas.take(connection, scope, usage.POINTS, len(points))
        return numbers

    try:
        numbers = scope.deps.db.write_together(store)
    except Exception:
        if scope.actor.job is not None:
            scope.deps.writers.forget(scope.project_id, scope.actor.job.job_id)
        raise
    scope.deps.metric_keys.learn(scope.project_id, numbers)


def delete_tag(scope: Scope, eid: str, key: str) -> None:
    stamp.on_delete_tag(scope, key)
    with scope.deps.db.write() as connection:
        candidate = writable(connection, scope, eid)
        if not candidate_tags.delete(connection, scope.project_id, candidate.iid, key):
            raise not_found(f"No tag with name: {key} in run with id {eid}")


def log_inputs(scope: Scope, eid: str, *, datasets: Sequence[Dataset], models: Sequence[ModelLink] = ()) -> None:
    """Note which data and which logged models a candidate used (or gave out: see `ModelLink.direction`)."""
    for one in datasets:
        sizes = {"name": one.name, "digest": one.digest, "source": one.source, "schema": one.schema}
        limits.check_dataset(sizes | {"profile": one.profile}, one.tags)
    with scope.deps.db.write() as connection:
        candidate = writable(connection, scope, eid)
        inputs.add_datasets(
            connection,
            scope.project_id,
            candidate.iid,
            experiment_iid=candidate.experiment_iid,
            datasets=datasets,
        )
        inputs.add_models(connection, scope.project_id, candidate.iid, models)


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
            raise invalid(f"Duplicate parameter keys have been submitted: '{key}'. Send each key once.")
        # MLflow cuts long values too (MLFLOW_TRUNCATE_LONG_VALUES), and clients count on it.
        by_key[key] = value[: limits.MAX_PARAM_VALUE]
    return by_key
