"""Traces: what an application did to answer one request.

https://mlflow.org/docs/latest/genai/tracing/
"""

from dataclasses import dataclass, field
from enum import IntEnum


class TraceState(IntEnum):
    """MLflow's states of a trace."""

    STATE_UNSPECIFIED = 0
    OK = 1
    ERROR = 2
    IN_PROGRESS = 3


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace without its spans. Times are milliseconds, `started_ms` since the epoch.

    `job_id` is the job whose token began it, None for a person's. `inputs_digest` is the same for the same inputs.
    """

    id: str
    experiment_iid: int
    state: TraceState
    started_ms: int
    duration_ms: int | None = None
    client_request_id: str | None = None
    request_preview: str | None = None
    response_preview: str | None = None
    inputs_digest: str | None = None
    session: str | None = None
    end_user: str | None = None
    job_id: int | None = None
    pipeline_id: int | None = None
    user_name: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
