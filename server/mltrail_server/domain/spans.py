"""Spans: the steps of a trace, as OpenTelemetry has them.

https://opentelemetry.io/docs/specs/otel/trace/api/#span
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span, such as an exception. `at_ns` is nanoseconds since the epoch."""

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One step of a trace. Times are nanoseconds since the epoch; `ended_ns` is None while it runs.

    `id` and `parent_id` are 16 hexadecimal digits; the root has no parent. `status` is OK, ERROR or UNSET.
    `attributes` are decoded: MLflow's clients send each value as JSON text, other exporters as plain values. `type` is
    the attribute `mlflow.spanType` (LLM, TOOL, RETRIEVER, …), "UNKNOWN" if there is none; `inputs` and `outputs` are
    those of `mlflow.spanInputs` and `mlflow.spanOutputs`.
    """

    id: str
    name: str
    started_ns: int
    parent_id: str | None = None
    ended_ns: int | None = None
    status: str = "UNSET"
    status_message: str = ""
    type: str = "UNKNOWN"
    inputs: Any = None
    outputs: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
