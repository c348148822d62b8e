"""From MLflow's JSON to records. Each function raises KeyError, TypeError or ValueError for what it can't understand.

MLflow leaves out fields that are not set, gives NaN as text, and gives whole numbers as numbers or as text.
"""

import json
from collections.abc import Iterable
from typing import Any

from mltrail_server.domain.transfer import (
    DatasetRecord,
    ExperimentRecord,
    LoggedModelRecord,
    ModelLink,
    ModelMetricRecord,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    VersionRecord,
)
from mltrail_server.sources.reading import Json, whole

_JOB_TAG = "gitlab.CI_JOB_ID"
_MODELS = "models:/m-"


def pairs(found: Iterable[Json] | None) -> dict[str, str]:
    """Return MLflow's lists of `key` and `value` as a dictionary."""
    return {str(one["key"]): str(one.get("value", "")) for one in found or ()}


def experiment(got: Json) -> ExperimentRecord:
    return ExperimentRecord(
        id=str(got["experiment_id"]),
        name=str(got["name"]),
        deleted=got.get("lifecycle_stage") == "deleted",
        created_ms=whole(got.get("creation_time")),
        updated_ms=whole(got.get("last_update_time")),
        artifact_location=got.get("artifact_location") or None,
        tags=pairs(got.get("tags")),
    )


def run(got: Json) -> RunRecord:
    info, data = got["info"], got.get("data") or {}
    run_id = str(info.get("run_id") or info["run_uuid"])
    tags = pairs(data.get("tags"))
    inputs, outputs = got.get("inputs") or {}, got.get("outputs") or {}
    return RunRecord(
        id=run_id,
        experiment_id=str(info["experiment_id"]),
        name=str(info.get("run_name") or tags.get("mlflow.runName", "")),
        user=str(info.get("user_id") or ""),
        status=str(info.get("status") or "RUNNING"),
        started_ms=whole(info.get("start_time")),
        ended_ms=whole(info.get("end_time")),
        deleted=info.get("lifecycle_stage") == "deleted",
        artifact_uri=str(info.get("artifact_uri") or ""),
        params=pairs(data.get("params")),
        tags=tags,
        latest=tuple(point(run_id, one) for one in data.get("metrics") or ()),
        datasets=tuple(_dataset(one) for one in inputs.get("dataset_inputs") or ()),
        model_inputs=_links(inputs.get("model_inputs")),
        model_outputs=_links(outputs.get("model_outputs")),
        job_id=_job(tags.get(_JOB_TAG, "")),
    )


def _job(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def point(run_id: str, got: Json) -> Point:
    return (
        run_id,
        str(got["key"]),
        whole(got.get("step")) or 0,
        whole(got.get("timestamp")) or 0,
        float(got.get("value", 0.0)),
    )


def _dataset(got: Json) -> DatasetRecord:
    dataset = got["dataset"]
    return DatasetRecord(
        name=str(dataset["name"]),
        digest=str(dataset["digest"]),
        source_type=str(dataset.get("source_type") or ""),
        source=str(dataset.get("source") or ""),
        schema=dataset.get("schema"),
        profile=dataset.get("profile"),
        tags=pairs(got.get("tags")),
    )


def _links(found: Iterable[Json] | None) -> tuple[ModelLink, ...]:
    return tuple(ModelLink(str(one["model_id"]), whole(one.get("step")) or 0) for one in found or ())


def logged_model(got: Json, *, deleted: bool = False) -> LoggedModelRecord:
    info, data = got["info"], got.get("data") or {}
    return LoggedModelRecord(
        id=str(info["model_id"]),
        experiment_id=str(info["experiment_id"]),
        name=str(info.get("name") or ""),
        model_type=str(info.get("model_type") or ""),
        source_run_id=str(info.get("source_run_id") or ""),
        status=str(info.get("status") or "").removeprefix("LOGGED_MODEL_"),
        created_ms=whole(info.get("creation_timestamp_ms")) or 0,
        updated_ms=whole(info.get("last_updated_timestamp_ms")) or 0,
        artifact_uri=str(info.get("artifact_uri") or ""),
        status_message=info.get("status_message") or None,
        deleted=deleted,
        tags=pairs(info.get("tags")),
        params=pairs(data.get("params")),
        metrics=tuple(_model_metric(one) for one in data.get("metrics") or ()),
    )


def _model_metric(got: Json) -> ModelMetricRecord:
    run_id, key, step, timestamp_ms, value = point(str(got.get("run_id") or ""), got)
    return ModelMetricRecord(
        run_id,
        key,
        step,
        timestamp_ms,
        value,
        str(got.get("dataset_name") or ""),
        str(got.get("dataset_digest") or ""),
    )


def model(got: Json) -> ModelRecord:
    return ModelRecord(
        name=str(got["name"]),
        created_ms=whole(got.get("creation_timestamp")),
        updated_ms=whole(got.get("last_updated_timestamp")),
        description=got.get("description"),
        user=str(got.get("user_id") or ""),
        tags=pairs(got.get("tags")),
        aliases={str(one["alias"]): int(one["version"]) for one in got.get("aliases") or ()},
    )


def version(got: Json) -> VersionRecord:
    source = str(got.get("source") or "")
    named = source.removeprefix("models:/").partition("/")[0] if source.startswith(_MODELS) else None
    return VersionRecord(
        model=str(got["name"]),
        number=int(got["version"]),
        created_ms=whole(got.get("creation_timestamp")),
        updated_ms=whole(got.get("last_updated_timestamp")),
        source=source,
        run_id=got.get("run_id") or None,
        run_link=got.get("run_link") or None,
        logged_model_id=got.get("model_id") or named,
        description=got.get("description"),
        user=str(got.get("user_id") or ""),
        stage=str(got.get("current_stage") or "None"),
        status=str(got.get("status") or "READY"),
        status_message=got.get("status_message") or None,
        tags=pairs(got.get("tags")),
    )


def scorer(got: Json) -> ScorerRecord:
    return ScorerRecord(
        id=str(got.get("scorer_id") or ""),
        experiment_id=str(got["experiment_id"]),
        name=str(got["scorer_name"]),
        version=int(got["scorer_version"]),
        serialized=str(got["serialized_scorer"]),
        created_ms=whole(got.get("creation_time")) or 0,
        user=str(got.get("created_by") or ""),
    )


def json_text(text: str | None) -> Any:  # noqa: ANN401 # any JSON
    """Read a field that holds JSON as text."""
    return json.loads(text) if text else None
