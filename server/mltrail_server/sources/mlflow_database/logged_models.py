"""Logged models (MLflow 3) of an MLflow database."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.transfer import ExperimentRecord, LoggedModelRecord, ModelMetricRecord

from .opening import Reading
from .tables import Tables

_PAGE = 200
_STATUSES = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}


def logged_models(reading: Reading, tables: Tables, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
    """Return logged models by id."""
    if not tables.has("logged_models"):
        return
    model = tables.table("logged_models").c
    statement = (
        sa.select(*model)
        .where(model.experiment_id == int(experiment.id), model.model_id > sa.bindparam("after"))
        .order_by(model.model_id)
        .limit(_PAGE)
    )
    after = ""
    while page := reading.rows(statement, {"after": after}):
        after = page[-1].model_id
        ids = [one.model_id for one in page]
        tags = _pairs(reading, tables, "logged_model_tags", "tag", ids)
        params = _pairs(reading, tables, "logged_model_params", "param", ids)
        metrics = _metrics(reading, tables, ids)
        for one in page:
            yield LoggedModelRecord(
                id=one.model_id,
                experiment_id=experiment.id,
                name=one.name,
                model_type=one.model_type or "",
                source_run_id=one.source_run_id or "",
                status=_STATUSES.get(one.status, "UNSPECIFIED"),
                created_ms=one.creation_timestamp_ms,
                updated_ms=one.last_updated_timestamp_ms,
                artifact_uri=one.artifact_location,
                status_message=one.status_message or None,
                deleted=one.lifecycle_stage == "deleted",
                tags=tags[one.model_id],
                params=params[one.model_id],
                metrics=tuple(metrics[one.model_id]),
            )


def location(reading: Reading, tables: Tables, model_id: str) -> str | None:
    """Return where a logged model's files are."""
    if not tables.has("logged_models"):
        return None
    model = tables.table("logged_models").c
    found: str | None = reading.value(sa.select(model.artifact_location).where(model.model_id == model_id))
    return found


def _pairs(reading: Reading, tables: Tables, name: str, prefix: str, ids: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    pair = tables.table(name).c
    key, value = pair[f"{prefix}_key"], pair[f"{prefix}_value"]
    statement = sa.select(pair.model_id, key, value).where(pair.model_id.in_(ids)).order_by(key)
    for model_id, its_key, its_value in reading.rows(statement):
        found[model_id][its_key] = its_value
    return found


def _metrics(reading: Reading, tables: Tables, ids: list[str]) -> dict[str, list[ModelMetricRecord]]:
    found: dict[str, list[ModelMetricRecord]] = defaultdict(list)
    metric = tables.table("logged_model_metrics").c
    order: tuple[sa.ColumnElement[Any], ...] = (
        metric.metric_name,
        metric.metric_timestamp_ms,
        metric.metric_step,
        metric.run_id,
    )
    for one in reading.rows(sa.select(*metric).where(metric.model_id.in_(ids)).order_by(*order)):
        record = ModelMetricRecord(
            run_id=one.run_id or "",
            key=one.metric_name,
            step=one.metric_step,
            timestamp_ms=one.metric_timestamp_ms,
            value=float("nan") if one.metric_value is None else one.metric_value,
            dataset_name=one.dataset_name or "",
            dataset_digest=one.dataset_digest or "",
        )
        found[one.model_id].append(record)
    return found
