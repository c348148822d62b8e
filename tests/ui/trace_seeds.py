"""Traces as pages show them, stored without a client."""

import io
import json
import zlib
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain.assessments import Kind
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.traces import NAME_TAG, Trace, TraceState
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.traces import span_records
from mltrail_server.services.traces.span_records import Record
from mltrail_server.services.traces.spans import Encoding
from mltrail_server.store import schema
from mltrail_server.store.traces import links, spans, traces
from mltrail_server.store.traces.spans import SpanPart

MS = 1_000_000
BEGIN = 1_700_000_000_000


class TraceSeeds:
    """Stores traces of one project, each a minute after the other."""

    def __init__(self, deps: Deps, project_id: int = 1) -> None:
        self._deps = deps
        self._project = deps.project(ProjectId(project_id))
        self._project_id = ProjectId(project_id)
        self._made = 0

    def add(
        self,
        *,
        name: str = "answer",
        experiment: int = 0,
        state: TraceState = TraceState.OK,
        spans: list[Record] | None = None,
        run: int | None = None,
        own: bool = True,
        prompts: tuple[tuple[str, str], ...] = (),
        **fields: Any,
    ) -> str:
        self._made += 1
        trace_id = f"tr-{self._made:032x}"
        tags = {NAME_TAG: name, **fields.pop("tags", {})}
        given: dict[str, Any] = {"duration_ms": 1200, "user_name": "local", **fields}
        trace = Trace(trace_id, experiment, state, BEGIN + self._made * 60_000, tags=tags, **given)
        with self._project.write() as tx:
            traces.add(tx, trace)
            links.to_prompts(tx, trace_id, prompts)
            if run is not None:
                links.to_run(tx, run, [trace_id], own=own)
        if spans is not None:
            self._store(trace_id, span_records.lines(spans), len(spans))
        return trace_id

    def put(self, trace_id: str, data: bytes) -> None:
        """Store anything where spans should be."""
        self._store(trace_id, data, 1)

    def say(self, trace_id: str, name: str, value: object, **fields: Any) -> str:
        self._made += 1
        given: dict[str, Any] = {
            "kind": int(Kind.FEEDBACK),
            "source_type": "CODE",
            "source_id": name,
            "valid": True,
            "user_name": "local",
            "created_ms": BEGIN + self._made,
            "updated_ms": BEGIN + self._made,
            **fields,
        }
        row = {"id": f"a-{self._made:032x}", "trace_id": trace_id, "name": name, "value": json.dumps(value), **given}
        with self._project.write() as tx:
            tx.execute(sa.insert(schema.assessment).values(project_id=tx.project_id, **row))
        return str(row["id"])

    def _store(self, trace_id: str, data: bytes, count: int) -> None:
        packed = zlib.compress(data)
        blob = self._deps.files.put(self._project_id, io.BytesIO(packed))
        part = SpanPart(0, blob.blob_id, Encoding.LINES, count, len(data), len(packed), blob.sha256)
        with self._project.write() as tx:
            spans.add(tx, trace_id, part)


def span(
    number: int, name: str, *, start: int = 0, took: int | None = 100, parent: int | None = None, **fields: Any
) -> Record:
    """Make a span; times are milliseconds."""
    attributes = {
        key: fields.pop(short)
        for short, key in (
            ("type", "mlflow.spanType"),
            ("inputs", "mlflow.spanInputs"),
            ("outputs", "mlflow.spanOutputs"),
            ("usage", "mlflow.chat.tokenUsage"),
        )
        if short in fields
    }
    begin = BEGIN * MS + start * MS
    return Record(
        f"{number:016x}",
        name,
        begin,
        None if took is None else begin + took * MS,
        None if parent is None else f"{parent:016x}",
        attributes={**attributes, **fields.pop("attributes", {})},
        **fields,
    )
