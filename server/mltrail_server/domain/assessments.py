"""Assessments: what a person or a scorer says about a trace.

https://mlflow.org/docs/latest/genai/concepts/feedback/
"""

import uuid
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

RUN_KEY = "mlflow.assessment.sourceRunId"
"""The key in an assessment's metadata under which an evaluation says which run it is."""
SCORER_DIGEST_KEY = "mlflow.assessment.scorerDigest"
UNSPECIFIED = "SOURCE_TYPE_UNSPECIFIED"
SOURCE_TYPES = (UNSPECIFIED, "HUMAN", "LLM_JUDGE", "CODE")
"""MLflow's, in the order of their numbers in its protocol."""
_MAX_STACK = 10_000
_CUT = "[Stack trace is truncated]\n...\n"


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


def new_id() -> str:
    return f"a-{uuid.uuid4().hex}"


def shortened_stack(stack: str) -> str:
    """Keep the end of a long stack trace, as MLflow does: that is where the error is."""
    return stack if len(stack) <= _MAX_STACK else _CUT + stack[len(_CUT) - _MAX_STACK :]
