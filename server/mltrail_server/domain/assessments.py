"""Assessments: what a person or a scorer says of a trace.

https://mlflow.org/docs/latest/genai/concepts/feedback/
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Kind(IntEnum):
    FEEDBACK = 1
    EXPECTATION = 2  # what the answer should have been
    ISSUE = 3


@dataclass(frozen=True, slots=True)
class Assessment:
    """`value` is any JSON value. `error` is MLflow's object (`error_code`, `error_message`, `stack_trace`) of a scorer
    that failed. Times are milliseconds since the epoch.

    `run_eid` is the evaluation that made it, `scorer_digest` a digest of the scorer's code, and `job_id` the job whose
    token wrote it, None for a person's.
    """

    id: str
    trace_id: str
    name: str
    kind: Kind
    value: Any
    source_type: str
    source_id: str
    created_ms: int
    updated_ms: int
    error: dict[str, Any] | None = None
    rationale: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    span_id: str | None = None
    overrides: str | None = None
    valid: bool = True
    run_eid: str | None = None
    scorer_digest: str | None = None
    job_id: int | None = None
    user_name: str = ""
