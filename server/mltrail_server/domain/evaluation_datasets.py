"""Evaluation datasets: the questions that an application is evaluated on, and what its answers should be.

https://mlflow.org/docs/latest/genai/datasets/
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class EvaluationDataset:
    """A dataset without its records. Times are milliseconds since the epoch; `schema` and `profile` are JSON.

    `digest` changes with each change of the records.
    """

    id: str
    name: str
    digest: str
    created_ms: int
    updated_ms: int
    schema: str | None = None
    profile: str | None = None
    user_name: str = ""
    updated_by: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a dataset. There is only one with the same inputs."""

    id: str
    dataset_id: str
    inputs: dict[str, Any]
    created_ms: int
    updated_ms: int
    outputs: Any = None
    expectations: dict[str, Any] | None = None
    tags: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] | None = None
    source_type: str | None = None
    source_id: str | None = None
    user_name: str = ""
    updated_by: str = ""


def inputs_digest(inputs: object) -> str:
    """Return the same text for the same inputs, whatever the order of their keys: it identifies a case."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def digest_of(name: str, updated_ms: int) -> str:
    """Return the digest of a dataset's state, as MLflow computes it."""
    return hashlib.sha256(f"{name}:{updated_ms}".encode()).hexdigest()[:8]


def profile_of(records: int) -> str:
    """Describe how many records there are, as MLflow does."""
    return json.dumps({"num_records": records} if records else None)


def schema_with(known: str | None, rows: Iterable[Mapping[str, Any]]) -> str:
    """Add the fields of new rows to a schema. The first type that was seen of a field stays."""
    schema: dict[str, Any] = {"inputs": {}, "outputs": {}, "expectations": {}, "version": "1.0"}
    schema |= json.loads(known) if known else {}
    for row in rows:
        for part in ("inputs", "outputs", "expectations"):
            given = row.get(part)
            if isinstance(given, dict) and isinstance(schema[part], dict):
                schema[part] |= {key: _type_of(value) for key, value in given.items() if key not in schema[part]}
            elif given is not None and not isinstance(given, dict) and not schema[part]:
                schema[part] = _type_of(given)
    return json.dumps(schema)


def _type_of(value: object) -> str:
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "float"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"
