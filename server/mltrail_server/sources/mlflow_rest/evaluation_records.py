"""From MLflow's JSON to the records of traces, assessments and evaluation datasets."""

import json
import re
from datetime import UTC, datetime
from typing import Any

from mltrail_server.domain.transfer import (
    AssessmentRecord,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    TraceRecord,
)
from mltrail_server.sources.reading import Json, whole

from .records import json_text, pairs

LOCATION_TAG = "mlflow.artifactLocation"
_SPANS_TAG = "mlflow.trace.spansLocation"
IN_PROGRESS = "IN_PROGRESS"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z")


def milliseconds(time: str) -> int:
    """Read a protobuf `Timestamp` in JSON, such as `2026-11-29T19:10:47.267Z`."""
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError(f"{time} is not a time")
    seconds = int(datetime.fromisoformat(found[1]).replace(tzinfo=UTC).timestamp())
    return seconds * 1000 + int((found[2] or "0").ljust(3, "0")[:3])


def duration(text: str | None) -> int | None:
    """Read a protobuf `Duration` in JSON, such as `0.201s`, as milliseconds."""
    return round(float(text.removesuffix("s")) * 1000) if text else None


def trace(got: Json) -> TraceRecord:
    """Read a trace of MLflow 3."""
    tags = dict(got.get("tags") or {})
    place = (got.get("trace_location") or {}).get("mlflow_experiment") or {}
    return TraceRecord(
        id=str(got["trace_id"]),
        experiment_id=str(place.get("experiment_id") or ""),
        state=str(got.get("state") or "STATE_UNSPECIFIED"),
        started_ms=milliseconds(got["request_time"]),
        duration_ms=duration(got.get("execution_duration")),
        client_request_id=got.get("client_request_id") or None,
        request_preview=got.get("request_preview"),
        response_preview=got.get("response_preview"),
        tags=tags,
        metadata=dict(got.get("trace_metadata") or {}),
        assessments=tuple(assessment(one) for one in got.get("assessments") or ()),
        artifact_uri=None if tags.get(_SPANS_TAG) == "TRACKING_STORE" else tags.get(LOCATION_TAG),
    )


def trace_of_2(got: Json) -> TraceRecord:
    """Read a trace of MLflow 2, which says 0 for a duration that it does not know yet."""
    tags = pairs(got.get("tags"))
    state = str(got.get("status") or "STATE_UNSPECIFIED").removeprefix("TRACE_STATUS_")
    lasted = whole(got.get("execution_time_ms"))
    return TraceRecord(
        id=str(got["request_id"]),
        experiment_id=str(got["experiment_id"]),
        state={"UNSPECIFIED": "STATE_UNSPECIFIED"}.get(state, state),
        started_ms=whole(got.get("timestamp_ms")) or 0,
        duration_ms=None if state == IN_PROGRESS and not lasted else lasted,
        tags=tags,
        metadata=pairs(got.get("request_metadata")),
        artifact_uri=tags.get(LOCATION_TAG),
    )


def assessment(got: Json) -> AssessmentRecord:
    kind = next(kind for kind in ("feedback", "expectation", "issue") if kind in got)
    said: Json = got[kind] or {}
    source = got.get("source") or {}
    return AssessmentRecord(
        id=str(got["assessment_id"]),
        name=str(got["assessment_name"]),
        kind=kind,
        value=_value(said),
        source_type=str(source.get("source_type") or ""),
        source_id=str(source.get("source_id") or ""),
        created_ms=milliseconds(got["create_time"]),
        updated_ms=milliseconds(got["last_update_time"]),
        error=said.get("error"),
        rationale=got.get("rationale"),
        metadata=dict(got.get("metadata") or {}),
        span_id=got.get("span_id") or None,
        overrides=got.get("overrides") or None,
        valid=bool(got.get("valid", True)),
    )


def _value(said: Json) -> Any:  # noqa: ANN401 # any JSON
    if "serialized_value" in said:
        return json.loads(said["serialized_value"]["value"])
    return said["issue_name"] if "issue_name" in said else said.get("value")


def evaluation_dataset(got: Json, experiment_ids: tuple[str, ...]) -> EvaluationDatasetRecord:
    tags = json_text(got.get("tags")) or {}
    return EvaluationDatasetRecord(
        id=str(got["dataset_id"]),
        name=str(got["name"]),
        digest=got.get("digest"),
        created_ms=whole(got.get("created_time")) or 0,
        updated_ms=whole(got.get("last_update_time")) or 0,
        user=str(got.get("created_by") or ""),
        updated_by=str(got.get("last_updated_by") or ""),
        schema=got.get("schema"),
        profile=got.get("profile"),
        tags={str(key): str(value) for key, value in tags.items()},
        experiment_ids=experiment_ids,
    )


def evaluation_row(got: Json) -> EvaluationRowRecord:
    return EvaluationRowRecord(
        id=str(got["dataset_record_id"]),
        inputs=got.get("inputs"),
        outputs=got.get("outputs"),
        expectations=got.get("expectations"),
        tags=got.get("tags"),
        source=got.get("source"),
        user=str(got.get("created_by") or ""),
        updated_by=str(got.get("last_updated_by") or ""),
        created_ms=whole(got.get("created_time")) or 0,
        updated_ms=whole(got.get("last_update_time")) or 0,
    )
