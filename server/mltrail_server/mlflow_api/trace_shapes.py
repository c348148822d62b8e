"""A trace as MLflow's clients write and read it: `TraceInfo`, of MLflow 3 and of MLflow 2.

https://mlflow.org/docs/latest/api_reference/rest-api.html
"""

import re

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.traces import Trace, TraceState
from mltrail_server.services.traces.traces import TraceData

from .assessments import SentAssessment
from .assessments import shown as shown_assessment
from .messages import Message
from .times import milliseconds_of, rfc3339
from .wire import Tag, experiment_number

_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_SHOWN_METADATA = 250
_SHOWN_TAG = 4096
"""MLflow's server cuts what it shows at these lengths."""
_UNSPECIFIED_V2 = "TRACE_STATUS_UNSPECIFIED"


class _Experiment(Message):
    experiment_id: str | None = None


class Location(Message):
    type: str | int | None = None
    mlflow_experiment: _Experiment | None = None


class TraceInfo(Message):
    """What clients of MLflow 3 send."""

    trace_id: str | None = None
    client_request_id: str | None = None
    trace_location: Location | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    request_time: str | None = None
    execution_duration: str | None = None
    state: str | int | None = None
    trace_metadata: dict[str, str] | None = None
    tags: dict[str, str] | None = None
    assessments: list[SentAssessment] | None = None


def as_sent(info: TraceInfo) -> Trace:
    """Read a trace as a client describes it. Raises INVALID, with the field's name."""
    if not info.trace_id:
        raise invalid(Reason.FIELD_MISSING, field="trace_id")
    if info.trace_location is None or (iid := location_iid(info.trace_location)) is None:
        raise invalid(Reason.FIELD_MISSING, field="trace_location.mlflow_experiment.experiment_id")
    return Trace(
        id=info.trace_id,
        experiment_iid=iid,
        state=state_of(info.state),
        started_ms=milliseconds_of(info.request_time, "request_time") if info.request_time else 0,
        duration_ms=_duration_ms(info.execution_duration),
        client_request_id=info.client_request_id,
        request_preview=info.request_preview,
        response_preview=info.response_preview,
        tags=info.tags or {},
        metadata=info.trace_metadata or {},
    )


def location_iid(location: Location) -> int | None:
    """Return the experiment of a location; None for a location elsewhere, such as an inference table."""
    experiment = location.mlflow_experiment
    return experiment_number(experiment.experiment_id) if experiment and experiment.experiment_id else None


def state_of(given: str | int | None) -> TraceState:
    """Read a state by its name or number in MLflow's protocol."""
    text = str(given or 0)
    if text == _UNSPECIFIED_V2:
        return TraceState.STATE_UNSPECIFIED
    for state in TraceState:
        if text in (state.name, str(state.value)):
            return state
    raise invalid(f"Invalid state of a trace: '{text[:40]}'. Use one of {', '.join(TraceState.__members__)}.")


def info(data: TraceData) -> dict[str, object]:
    """Show a trace as MLflow 3 does."""
    trace = data.trace
    shown: dict[str, object] = {
        "trace_id": trace.id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": {"experiment_id": str(trace.experiment_iid)},
        },
        "request_time": rfc3339(trace.started_ms),
        "state": trace.state.name,
    }
    optional = {
        "client_request_id": trace.client_request_id,
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        "execution_duration": None if trace.duration_ms is None else duration_text(trace.duration_ms),
    }
    shown |= {key: value for key, value in optional.items() if value is not None}
    if trace.metadata:
        shown["trace_metadata"] = {key: value[:_SHOWN_METADATA] for key, value in trace.metadata.items()}
    if trace.tags:
        shown["tags"] = {key: value[:_SHOWN_TAG] for key, value in trace.tags.items()}
    if data.assessments:
        shown["assessments"] = [shown_assessment(one) for one in data.assessments]
    return shown


def info_v2(trace: Trace) -> dict[str, object]:
    """Show a trace as MLflow 2 does."""
    unspecified = trace.state is TraceState.STATE_UNSPECIFIED
    return {
        "request_id": trace.id,
        "experiment_id": str(trace.experiment_iid),
        "timestamp_ms": trace.started_ms,
        "execution_time_ms": trace.duration_ms or 0,
        "status": _UNSPECIFIED_V2 if unspecified else trace.state.name,
        "request_metadata": [{"key": key, "value": value[:_SHOWN_METADATA]} for key, value in trace.metadata.items()],
        "tags": [{"key": key, "value": value[:_SHOWN_TAG]} for key, value in trace.tags.items()],
    }


def pairs(given: list[Tag] | None) -> dict[str, str]:
    return {one.key: one.value for one in given or ()}


def duration_text(milliseconds: int) -> str:
    seconds, rest = divmod(abs(milliseconds), 1000)
    return f"{'-' if milliseconds < 0 else ''}{seconds}{f'.{rest:03d}' if rest else ''}s"


def _duration_ms(text: str | None) -> int | None:
    if text is None:
        return None
    match = _DURATION.fullmatch(text)
    if match is None:
        raise invalid(
            Reason.FIELD_WRONG,
            field="execution_duration",
            given=f" '{text[:40]}'",
            what="it must be a duration such as 1.25s",
        )
    milliseconds = int(match[2]) * 1000 + int((match[3] or "").ljust(3, "0")[:3])
    return -milliseconds if match[1] else milliseconds
