"""Create, find, change and delete evaluation datasets."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from mltrail_server.domain import filters, limits
from mltrail_server.domain.errors import invalid, not_found
from mltrail_server.domain.evaluation_datasets import EvaluationDataset, digest_of
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import experiments, stamp
from mltrail_server.services.tracking.search import MAX_RESULTS
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.traces import datasets as store

USER_TAG = "mlflow.user"


def create(
    scope: Scope, *, name: str, tags: Mapping[str, str], experiment_iids: Sequence[int]
) -> tuple[EvaluationDataset, list[int]]:
    """Create an empty dataset, and return it with its experiments. Names need not be unique.

    Raises NOT_FOUND for an unknown experiment.
    """
    if not name.strip():
        raise invalid(Reason.FIELD_MISSING, field="name")
    if len(name) > (most := limits.MAX_EVALUATION_DATASET_NAME):
        raise invalid(f"An evaluation dataset's name has at most {most} characters, not {len(name)}.")
    _check_tags(tags)
    stamp.check_may_begin(scope)
    by = author(scope, tags)
    with scope.project.write() as tx:
        _check_experiments(tx, experiment_iids)
        dataset = EvaluationDataset(
            id=f"d-{uuid.uuid4().hex}",
            name=name,
            digest=digest_of(name, tx.now),
            created_ms=tx.now,
            updated_ms=tx.now,
            user_name=by,
            updated_by=by,
            tags=dict(tags),
        )
        store.create(tx, dataset)
        store.add_experiments(tx, dataset.id, experiment_iids)
    return dataset, list(dict.fromkeys(experiment_iids))


def get(scope: Scope, dataset_id: str) -> EvaluationDataset:
    with scope.project.read() as tx:
        return existing(tx, dataset_id)


def delete(scope: Scope, dataset_id: str) -> None:
    """Delete a dataset with its records. Doing it twice is no error."""
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        store.delete(tx, dataset_id)


def search(
    scope: Scope,
    *,
    experiment_iids: Sequence[int] | None,
    filter_text: str,
    order_by: Sequence[str],
    limit: int,
    token: str | None,
) -> tuple[list[EvaluationDataset], str | None]:
    """Return a page of datasets, the newest first unless `order_by` says otherwise."""
    if not 0 < limit <= MAX_RESULTS:
        raise invalid(Reason.PAGE_SIZE, given=limit, most=MAX_RESULTS)
    if experiment_iids is not None and len(experiment_iids) > filters.MAX_LIST:
        raise invalid(Reason.TOO_MANY_EXPERIMENTS, most=filters.MAX_LIST)
    clauses, orders = filters.parse(filter_text), filters.parse_orders(order_by)
    with scope.project.slow_read() as tx:
        return store.search(
            tx, experiment_iids=experiment_iids, clauses=clauses, orders=orders, limit=limit, token=token
        )


def set_tags(scope: Scope, dataset_id: str, tags: Mapping[str, str]) -> None:
    _check_tags(tags)
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        existing(tx, dataset_id)
        store.put_tags(tx, dataset_id, tags)


def delete_tag(scope: Scope, dataset_id: str, key: str) -> None:
    """Delete a tag. Neither it nor its dataset need exist."""
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        store.delete_tag(tx, dataset_id, key)


def experiments_of(scope: Scope, dataset_id: str) -> list[int]:
    with scope.project.read() as tx:
        return store.experiments_of(tx, dataset_id)


def add_to_experiments(scope: Scope, dataset_id: str, iids: Sequence[int]) -> EvaluationDataset:
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        dataset = existing(tx, dataset_id, to_write=True)
        _check_experiments(tx, iids)
        store.add_experiments(tx, dataset_id, iids)
        store.change(tx, dataset_id, updated_ms=tx.now)
        return replace(dataset, updated_ms=tx.now)


def remove_from_experiments(scope: Scope, dataset_id: str, iids: Sequence[int]) -> EvaluationDataset:
    """Remove a dataset from experiments; those that it does not belong to are no error."""
    stamp.check_may_begin(scope)
    with scope.project.write() as tx:
        dataset = existing(tx, dataset_id, to_write=True)
        if not store.remove_experiments(tx, dataset_id, iids):
            return dataset
        store.change(tx, dataset_id, updated_ms=tx.now)
        return replace(dataset, updated_ms=tx.now)


def existing(tx: Transaction, dataset_id: str, *, to_write: bool = False) -> EvaluationDataset:
    dataset = store.get(tx, dataset_id, to_write=to_write)
    if dataset is None:
        raise not_found(Reason.NO_EVALUATION_DATASET, dataset_id=dataset_id[:80])
    return dataset


def author(scope: Scope, tags: Mapping[str, object]) -> str:
    """Return who makes or changes something. What the client says counts only in local mode, where the token names
    nobody.
    """
    return str(tags.get(USER_TAG) or "") if scope.deps.team is None else scope.actor.user_name


def _check_tags(tags: Mapping[str, str]) -> None:
    if len(tags) > limits.MAX_LIST:
        raise invalid(f"An evaluation dataset gets at most {limits.MAX_LIST} tags in one call, not {len(tags)}.")
    for key, value in tags.items():
        if not key or len(key) > limits.MAX_KEY:
            raise invalid(f"The name of an evaluation dataset's tag has from 1 to {limits.MAX_KEY} characters.")
        if len(value) > limits.MAX_EVALUATION_DATASET_TAG_VALUE:
            raise invalid(
                f"The tag '{key[:80]}' of an evaluation dataset has at most "
                f"{limits.MAX_EVALUATION_DATASET_TAG_VALUE} characters, not {len(value)}."
            )


def _check_experiments(tx: Transaction, iids: Sequence[int]) -> None:
    if len(iids) > limits.MAX_LIST:
        raise invalid(f"A dataset is added to at most {limits.MAX_LIST} experiments in one call, not {len(iids)}.")
    for iid in dict.fromkeys(iids):
        experiments.existing(tx, iid)
