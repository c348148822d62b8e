"""Traces in an `./mlruns` folder, in the shapes of MLflow 2.14 to 2.22 and of MLflow 3.

`traces/<id>` has `trace_info.yaml`, folders with tags and metadata, `assessments/<id>.yaml` and the spans in
`artifacts/traces.json`.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mltrail_server.domain.transfer import AssessmentRecord, Entity, Findings, Loss, TraceRecord

from .tree import Tree, number_of, text_of

INFO = "trace_info.yaml"
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")
_KINDS = ("feedback", "expectation", "issue")


class Traces:
    def __init__(self, tree: Tree, findings: Findings) -> None:
        self._tree = tree
        self._findings = findings

    def of(self, folder: Path, experiment_id: str) -> Iterator[TraceRecord]:
        """Return the traces of an experiment's folder."""
        for trace in self._tree.folders(folder / "traces", f"experiment {experiment_id}", Entity.TRACE):
            owner = f"trace {trace.name}"
            info = self._tree.yaml(trace / INFO, owner, Entity.TRACE)
            started = None if info is None else _moment(info, "request_time", "timestamp_ms")
            if info is None or started is None:
                if info is not None:
                    self._findings.add(Loss.MISSING, Entity.TRACE, owner, f"{INFO} does not say when it started")
                continue
            tags = self._tree.texts(trace / "tags", owner, Entity.TRACE)
            yield TraceRecord(
                id=text_of(info, "trace_id", "request_id") or trace.name,
                experiment_id=experiment_id,
                state=text_of(info, "state", "status") or "STATE_UNSPECIFIED",
                started_ms=started,
                duration_ms=_duration(info),
                client_request_id=text_of(info, "client_request_id"),
                request_preview=text_of(info, "request_preview"),
                response_preview=text_of(info, "response_preview"),
                tags=tags,
                metadata=self._tree.texts(trace / "request_metadata", owner, Entity.TRACE),
                assessments=tuple(self._assessments(trace / "assessments", owner)),
                artifact_uri=tags.get("mlflow.artifactLocation"),
            )

    def _assessments(self, folder: Path, owner: str) -> Iterator[AssessmentRecord]:
        for name, file in self._tree.keys(folder, owner, Entity.ASSESSMENT):
            said = self._tree.yaml(file, owner, Entity.ASSESSMENT)
            if said is None:
                continue
            kind = next((one for one in _KINDS if isinstance(said.get(one), dict)), None)
            created = _moment(said, "create_time", "create_time_ms")
            if kind is None or created is None:
                text = f"assessment {name} has no value, or no time"
                self._findings.add(Loss.MISSING, Entity.ASSESSMENT, owner, text)
                continue
            content, source = said[kind], _object(said, "source")
            yield AssessmentRecord(
                id=text_of(said, "assessment_id") or name.removesuffix(".yaml"),
                name=text_of(said, "assessment_name", "name") or "",
                kind=kind,
                value=content.get("value", content.get("serialized_value")),
                source_type=text_of(source, "source_type") or "SOURCE_TYPE_UNSPECIFIED",
                source_id=text_of(source, "source_id") or "",
                created_ms=created,
                updated_ms=_moment(said, "last_update_time", "last_update_time_ms") or created,
                error=_object(content, "error") or None,
                rationale=text_of(said, "rationale"),
                metadata={str(key): str(text) for key, text in _object(said, "metadata").items()},
                span_id=text_of(said, "span_id"),
                overrides=text_of(said, "overrides"),
                valid=said.get("valid") is not False,
            )


def _object(said: dict[str, Any], key: str) -> dict[str, Any]:
    value = said.get(key)
    return value if isinstance(value, dict) else {}


def _moment(said: dict[str, Any], *keys: str) -> int | None:
    """Read a time, in milliseconds or as RFC 3339 has it, as milliseconds."""
    for key in keys:
        value = said.get(key)
        if isinstance(value, datetime):
            return _milliseconds(value)
        if isinstance(value, str) and not value.lstrip("-").isdecimal():
            try:
                return _milliseconds(datetime.fromisoformat(value))
            except ValueError:
                continue
        if (number := number_of(said, key)) is not None:
            return number
    return None


def _milliseconds(moment: datetime) -> int:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _duration(info: dict[str, Any]) -> int | None:
    seconds = info.get("execution_duration")
    if isinstance(seconds, str) and (match := _SECONDS.fullmatch(seconds)):
        return round(float(match[1]) * 1000)
    return number_of(info, "execution_duration_ms", "execution_duration", "execution_time_ms")
