"""Assessments of traces: https://mlflow.org/docs/latest/genai/concepts/feedback/."""

import json
import re
from typing import Any

from flask import Response

from mltrail_server.domain.assessments import SOURCE_TYPES, UNSPECIFIED, Assessment, Kind
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.reasons import Reason
from mltrail_server.http.answers import json_answer
from mltrail_server.http.call import Call
from mltrail_server.services.traces import assessments
from mltrail_server.services.traces.assessments import Change

from .messages import Message, json_within, message_of
from .times import milliseconds_of, rfc3339

_JSON_FORMAT = "JSON_FORMAT"
_CAPITAL = re.compile(r"[A-Z]")


class _Source(Message):
    source_type: str | int | None = None
    source_id: str | None = None


class _Error(Message):
    error_code: str | None = None
    error_message: str | None = None
    stack_trace: str | None = None


class _Feedback(Message):
    value: Any = None
    error: _Error | None = None


class _Serialized(Message):
    serialization_format: str | None = None
    value: str | None = None


class _Expectation(Message):
    value: Any = None
    serialized_value: _Serialized | None = None


class _Issue(Message):
    issue_name: str = ""


class SentAssessment(Message):
    """An assessment as clients send it. Whether it is valid the server decides."""

    assessment_id: str | None = None
    assessment_name: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    source: _Source | None = None
    create_time: str | None = None
    last_update_time: str | None = None
    feedback: _Feedback | None = None
    expectation: _Expectation | None = None
    issue: _Issue | None = None
    rationale: str | None = None
    metadata: dict[str, str] | None = None
    overrides: str | None = None


class _Create(Message):
    assessment: SentAssessment


class _Update(Message):
    assessment: SentAssessment
    update_mask: str | None = None


def create(call: Call, trace_id: str) -> Response:
    body = message_of(call.request, _Create)
    return _answer(assessments.create(call.scope, as_sent(body.assessment, trace_id, call.scope.now)))


def get(call: Call, trace_id: str, assessment_id: str) -> Response:
    return _answer(assessments.get(call.scope, trace_id, assessment_id))


def update(call: Call, trace_id: str, assessment_id: str) -> Response:
    body = message_of(call.request, _Update)
    if not body.update_mask:
        raise invalid(Reason.FIELD_MISSING, field="update_mask")
    change = _change(body.assessment, _paths(body.update_mask))
    return _answer(assessments.update(call.scope, trace_id, assessment_id, change))


def delete(call: Call, trace_id: str, assessment_id: str) -> Response:
    assessments.delete(call.scope, trace_id, assessment_id)
    return json_answer({})


def as_sent(sent: SentAssessment, trace_id: str, now: int) -> Assessment:
    """Read a client's assessment of a trace. Without times, it is from now."""
    kind, value = _value(sent)
    source = sent.source or _Source()
    created_ms = milliseconds_of(sent.create_time, "create_time") if sent.create_time else now
    updated_ms = milliseconds_of(sent.last_update_time, "last_update_time") if sent.last_update_time else now
    return Assessment(
        id=sent.assessment_id or "",
        trace_id=trace_id,
        name=sent.assessment_name or "",
        kind=kind,
        value=value,
        source_type=_source_type(source.source_type),
        source_id=source.source_id or "",
        created_ms=created_ms,
        updated_ms=updated_ms,
        error=_error(sent.feedback),
        # MLflow has none for what was expected.
        rationale=(sent.rationale or None) if kind is not Kind.EXPECTATION else None,
        metadata=sent.metadata or {},
        span_id=sent.span_id or None,
        overrides=sent.overrides or None,
    )


def shown(assessment: Assessment) -> dict[str, object]:
    """Show an assessment as MLflow does."""
    optional = {
        "span_id": assessment.span_id,
        "rationale": assessment.rationale,
        "metadata": assessment.metadata or None,
        "overrides": assessment.overrides,
    }
    source = {"source_type": assessment.source_type}
    if assessment.source_id:
        source["source_id"] = assessment.source_id
    return {
        "assessment_id": assessment.id,
        "assessment_name": assessment.name,
        "trace_id": assessment.trace_id,
        "source": source,
        "create_time": rfc3339(assessment.created_ms),
        "last_update_time": rfc3339(assessment.updated_ms),
        assessment.kind.name.lower(): _shown_value(assessment),
        "valid": assessment.valid,
    } | {key: value for key, value in optional.items() if value is not None}


def _answer(assessment: Assessment) -> Response:
    return json_answer({"assessment": shown(assessment)})


def _shown_value(assessment: Assessment) -> dict[str, object]:
    value = assessment.value
    if assessment.kind is Kind.ISSUE:
        return {"issue_name": value}
    if assessment.kind is Kind.EXPECTATION and isinstance(value, dict | list):
        return {"serialized_value": {"serialization_format": _JSON_FORMAT, "value": json.dumps(value)}}
    return {"value": value} | ({"error": assessment.error} if assessment.error is not None else {})


def _value(sent: SentAssessment) -> tuple[Kind, Any]:
    if sent.feedback is not None:
        return Kind.FEEDBACK, sent.feedback.value
    if sent.expectation is not None:
        return Kind.EXPECTATION, _expected(sent.expectation)
    if sent.issue is not None:
        return Kind.ISSUE, sent.issue.issue_name
    raise invalid("An assessment needs one of 'feedback', 'expectation' and 'issue', with a value.")


def _expected(sent: _Expectation) -> Any:  # noqa: ANN401 - any JSON
    value = sent.value
    if sent.serialized_value is not None:
        if sent.serialized_value.serialization_format != _JSON_FORMAT:
            given = str(sent.serialized_value.serialization_format)[:60]
            raise invalid(f"Unknown serialization format: {given}. Only {_JSON_FORMAT} is supported.")
        value = json_within("expectation.serialized_value.value", sent.serialized_value.value or "")
    if value is None:
        raise invalid("The `value` field must be specified.")
    return value


def _error(sent: _Feedback | None) -> dict[str, Any] | None:
    if sent is None or sent.error is None:
        return None
    optional = {"error_message": sent.error.error_message, "stack_trace": sent.error.stack_trace}
    return {"error_code": sent.error.error_code or ""} | {key: text for key, text in optional.items() if text}


def _source_type(given: str | int | None) -> str:
    """Read a type by its name or its number. As in MLflow, an unknown one counts as unspecified."""
    text = str(given)
    if text.isascii() and text.isdigit() and len(text) == 1 and int(text) < len(SOURCE_TYPES):
        return SOURCE_TYPES[int(text)]
    return text if text in SOURCE_TYPES else UNSPECIFIED


def _paths(mask: str) -> set[str]:
    """Read a field mask, in which protocol buffers write names as `assessmentName`."""
    return {_CAPITAL.sub(lambda found: f"_{found[0].lower()}", path.strip()) for path in mask.split(",")}


def _change(sent: SentAssessment, paths: set[str]) -> Change:
    if "valid" in paths:
        raise invalid(
            "`valid` can't be set: an assessment is valid until another one overrides it. See "
            "`mlflow.override_feedback`."
        )
    if {"feedback", "expectation"} <= paths:
        raise invalid("Cannot specify both `expectation` and `feedback` parameters.")
    kind, value, error = None, None, None
    if "feedback" in paths:
        feedback = sent.feedback or _Feedback()
        kind, value, error = Kind.FEEDBACK, feedback.value, _error(feedback)
    elif "expectation" in paths:
        kind, value = Kind.EXPECTATION, _expected(sent.expectation or _Expectation())
    return Change(
        name=(sent.assessment_name or "") if "assessment_name" in paths else None,
        kind=kind,
        value=value,
        error=error,
        rationale=(sent.rationale or "") if "rationale" in paths else None,
        metadata=(sent.metadata or {}) if "metadata" in paths else None,
    )
