"""Evaluation datasets: https://mlflow.org/docs/latest/genai/datasets/.

Tags and records travel as JSON within a text.
"""

import json

from flask import Response

from mltrail_server.domain import limits
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.evaluation_datasets import EvaluationDataset, Record
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.traces import datasets, records

from .messages import Message, json_within, message_of
from .wire import check_length, experiment_number, orders_of

_PAGE = 1000


class _Create(Message):
    name: str
    experiment_ids: list[str] | None = None
    tags: str | None = None


class _Search(Message):
    experiment_ids: list[str] | None = None
    filter_string: str | None = None
    max_results: int | None = None
    order_by: list[str] | str | None = None
    page_token: str | None = None


class _SetTags(Message):
    tags: str


class _Experiments(Message):
    experiment_ids: list[str] | None = None


class _Upsert(Message):
    records: str


class _Records(Message):
    max_results: int | None = None
    page_token: str | None = None


class _DeleteRecords(Message):
    dataset_record_ids: list[str] | None = None


def create(call: Call) -> Response:
    body = message_of(call.request, _Create)
    iids = [experiment_number(one) for one in body.experiment_ids or ()]
    dataset, linked = datasets.create(call.scope, name=body.name, tags=_tags(body.tags), experiment_iids=iids)
    return _answer(dataset, linked)


def get(call: Call, dataset_id: str) -> Response:
    return _answer(datasets.get(call.scope, dataset_id))


def delete(call: Call, dataset_id: str) -> Response:
    datasets.delete(call.scope, dataset_id)
    return json_answer({})


def search(call: Call) -> Response:
    body = message_of(call.request, _Search)
    # MLflow compares ids as texts: one that is no number is that of no experiment.
    iids = [int(one) for one in body.experiment_ids or () if one.isascii() and one.isdigit()]
    found, token = datasets.search(
        call.scope,
        experiment_iids=iids if body.experiment_ids else None,
        filter_text=body.filter_string or "",
        order_by=orders_of(body.order_by),
        limit=_PAGE if body.max_results is None else body.max_results,
        token=body.page_token or None,
    )
    answer: dict[str, object] = {"datasets": [_shown(one) for one in found]} if found else {}
    return json_answer(answer | ({"next_page_token": token} if token else {}))


def set_tags(call: Call, dataset_id: str) -> Response:
    datasets.set_tags(call.scope, dataset_id, _tags(message_of(call.request, _SetTags).tags))
    return json_answer({})


def delete_tag(call: Call, dataset_id: str, key: str) -> Response:
    datasets.delete_tag(call.scope, dataset_id, key)
    return json_answer({})


def experiment_ids(call: Call, dataset_id: str) -> Response:
    found = datasets.experiments_of(call.scope, dataset_id)
    return json_answer({"experiment_ids": [str(iid) for iid in found]} if found else {})


def add_experiments(call: Call, dataset_id: str) -> Response:
    iids = [experiment_number(one) for one in message_of(call.request, _Experiments).experiment_ids or ()]
    return _answer(datasets.add_to_experiments(call.scope, dataset_id, iids))


def remove_experiments(call: Call, dataset_id: str) -> Response:
    body = message_of(call.request, _Experiments)
    check_length("experiment_ids", body.experiment_ids, limits.MAX_LIST)
    iids = [experiment_number(one) for one in body.experiment_ids or ()]
    return _answer(datasets.remove_from_experiments(call.scope, dataset_id, iids))


def upsert_records(call: Call, dataset_id: str) -> Response:
    rows = json_within("records", message_of(call.request, _Upsert).records)
    if not isinstance(rows, list):
        raise invalid("Invalid value for parameter 'records' supplied: it must be a list of records, as JSON text.")
    done = records.upsert(call.scope, dataset_id, rows)
    return json_answer({"inserted_count": done.inserted, "updated_count": done.updated})


def list_records(call: Call, dataset_id: str) -> Response:
    query = message_of(call.request, _Records)
    found, token = records.listed(
        call.scope, dataset_id, limit=query.max_results or _PAGE, token=query.page_token or None
    )
    answer = {"records": json.dumps([_shown_record(one) for one in found])}
    return json_answer(answer | ({"next_page_token": token} if token else {}))


def delete_records(call: Call, dataset_id: str) -> Response:
    body = message_of(call.request, _DeleteRecords)
    check_length("dataset_record_ids", body.dataset_record_ids, limits.MAX_RECORDS)
    return json_answer({"deleted_count": records.delete(call.scope, dataset_id, body.dataset_record_ids or [])})


def _answer(dataset: EvaluationDataset, experiment_iids: list[int] | None = None) -> Response:
    linked = {"experiment_ids": [str(iid) for iid in experiment_iids]} if experiment_iids else {}
    return json_answer({"dataset": _shown(dataset) | linked})


def _shown(dataset: EvaluationDataset) -> dict[str, object]:
    optional = {
        "schema": dataset.schema,
        "profile": dataset.profile,
        "created_by": dataset.user_name or None,
        "last_updated_by": dataset.updated_by or None,
    }
    return {
        "dataset_id": dataset.id,
        "name": dataset.name,
        "tags": json.dumps(dataset.tags),
        "digest": dataset.digest,
        "created_time": dataset.created_ms,
        "last_update_time": dataset.updated_ms,
    } | {key: value for key, value in optional.items() if value is not None}


def _shown_record(record: Record) -> dict[str, object]:
    optional = {
        "expectations": record.expectations,
        "source": record.source,
        "source_id": record.source_id,
        "source_type": record.source_type,
        "created_by": record.user_name or None,
        "last_updated_by": record.updated_by or None,
        "outputs": record.outputs,
    }
    return {
        "dataset_record_id": record.id,
        "dataset_id": record.dataset_id,
        "inputs": record.inputs,
        "tags": record.tags,
        "created_time": record.created_ms,
        "last_update_time": record.updated_ms,
    } | {key: value for key, value in optional.items() if value is not None}


def _tags(text: str | None) -> dict[str, str]:
    """Read tags. As MLflow does, take any value as text, and leave out those that are null."""
    tags = json_within("tags", text) if text else {}
    if not isinstance(tags, dict):
        raise invalid("Invalid value for parameter 'tags' supplied: it must be an object, as JSON text.")
    return {key: str(value) for key, value in tags.items() if value is not None}
