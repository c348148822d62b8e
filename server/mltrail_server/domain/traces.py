"""Traces: what an application did to answer one request.

https://mlflow.org/docs/latest/genai/tracing/
"""

import re
import uuid
from dataclasses import dataclass, field
from enum import IntEnum

from .errors import invalid

NAME_TAG = "mlflow.traceName"
PLACE_TAG = "mlflow.artifactLocation"
"""Where clients of MLflow put `traces.json`; the server says so."""
SPANS_TAG = "mlflow.trace.spansLocation"
"""TRACKING_STORE once the server has spans."""
ARCHIVE_TAG = "mlflow.trace.archiveLocation"
ARCHIVAL_FAILURE_TAG = "mlflow.trace.archivalFailure"
SERVERS_TAGS = frozenset({PLACE_TAG, SPANS_TAG, ARCHIVE_TAG, ARCHIVAL_FAILURE_TAG})
"""Tags that clients can't set."""

RUN_KEY = "mlflow.sourceRun"
SESSION_KEY = "mlflow.trace.session"
USER_KEY = "mlflow.trace.user"
TOKENS_KEY = "mlflow.trace.tokenUsage"
COST_KEY = "mlflow.trace.cost"
SIZES_KEY = "mlflow.trace.sizeStats"
FINAL_KEY = "mlflow.trace.infoFinalized"
"""Keys of metadata. The last one marks a complete trace: its spans no longer change what the client sent."""

MAX_ID = 64
MAX_LINKS = 100
"""How many traces one call links to a run, as in MLflow."""
MAX_IDS = 1000
_ID = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)


class TraceState(IntEnum):
    """MLflow's states of a trace."""

    STATE_UNSPECIFIED = 0
    OK = 1
    ERROR = 2
    IN_PROGRESS = 3


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace without its spans. Times are milliseconds, `started_ms` since the epoch.

    `job_id` is the job whose token began it, None for a person's, and `protected` whether that job ran for a protected
    branch or tag. `inputs_digest` is the same for the same inputs. `announced` is false while only spans have come.
    `origin_id` is where it was imported from, None if it was made here.
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
    protected: bool = False
    user_name: str = ""
    announced: bool = True
    origin_id: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)


def new_id() -> str:
    """Make the id of a trace whose client asks for one, as MLflow 2 does."""
    return f"tr-{uuid.uuid4().hex}"


def check_id(trace_id: str) -> None:
    """Check an id that a client has chosen; it becomes part of a path. Raises INVALID."""
    if len(trace_id) > MAX_ID or _ID.fullmatch(trace_id) is None or ".." in trace_id:
        raise invalid(
            f"Invalid trace ID '{trace_id[:80]}': it has up to {MAX_ID} letters, digits, '-', '_', '.' and ':', as in "
            "'tr-' and 32 hexadecimal digits."
        )
