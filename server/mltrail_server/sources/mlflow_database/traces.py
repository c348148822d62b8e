"""Traces of an MLflow database, in the shape of MLflow 2.14 to 2.22 or of MLflow 3."""

import json
from collections import defaultdict
from collections.abc import Iterator

import sqlalchemy as sa

from mltrail_server.domain.transfer import AssessmentRecord, Entity, ExperimentRecord, Findings, Loss, TraceRecord

from .opening import Reading, Row, Rows
from .tables import Tables

_PAGE = 200
_LOCATION = "mlflow.artifactLocation"
_NAME = "mlflow.traceName"
_SPANS = "mlflow.trace.spansLocation"
_ARCHIVE = "mlflow.trace.archiveLocation"
_INPUTS, _OUTPUTS = "mlflow.traceInputs", "mlflow.traceOutputs"
_STATES = {"TRACE_STATUS_UNSPECIFIED": "STATE_UNSPECIFIED", "": "STATE_UNSPECIFIED"}
_SESSION, _TOKENS, _COST = "mlflow.trace.session", "mlflow.trace.tokenUsage", "mlflow.trace.cost"
_TOKEN_COLUMNS = (
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation_input_tokens_above_1hr",
)
_COST_COLUMNS = ("input_cost", "output_cost", "total_cost")
_COLUMNS = (
    "request_id",
    "timestamp_ms",
    "execution_time_ms",
    "status",
    "client_request_id",
    "request_preview",
    "response_preview",
    "trace_name",
    "session_id",
    *_TOKEN_COLUMNS,
    *_COST_COLUMNS,
)

Pairs = dict[str, dict[str, str]]


class Traces:
    def __init__(self, reading: Reading, tables: Tables, findings: Findings) -> None:
        self._reading = reading
        self._tables = tables
        self._findings = findings

    def of(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        """Return an experiment's traces, the oldest first."""
        if not self._tables.has("trace_info"):
            return
        trace = self._tables.table("trace_info").c
        after_ms, after = sa.bindparam("after_ms", type_=sa.BigInteger), sa.bindparam("after", type_=sa.String)
        statement = (
            sa.select(*self._tables.columns("trace_info", *_COLUMNS))
            .where(
                trace.experiment_id == int(experiment.id),
                trace.timestamp_ms >= after_ms,
                sa.or_(trace.timestamp_ms > after_ms, trace.request_id > after),
            )
            .order_by(trace.timestamp_ms, trace.request_id)
            .limit(_PAGE)
        )
        at = {"after_ms": -(2**63), "after": ""}
        while page := self._reading.rows(statement, at):
            at = {"after_ms": page[-1].timestamp_ms, "after": page[-1].request_id}
            yield from self._page(experiment.id, page)

    def _page(self, experiment_id: str, page: Rows) -> Iterator[TraceRecord]:
        ids = [one.request_id for one in page]
        tags, metadata = self._pairs("trace_tags", ids), self._pairs("trace_request_metadata", ids)
        assessments, runs = self._assessments(ids), self._runs(ids)
        for one in page:
            its_tags = _tags(one, tags[one.request_id])
            its_metadata = _metadata(one, metadata[one.request_id])
            old = not self._tables.has("trace_info", "request_preview")
            yield TraceRecord(
                id=one.request_id,
                experiment_id=experiment_id,
                state=_STATES.get(one.status or "", one.status),
                started_ms=one.timestamp_ms,
                duration_ms=one.execution_time_ms,
                client_request_id=one.client_request_id,
                request_preview=its_metadata.get(_INPUTS) if old else one.request_preview,
                response_preview=its_metadata.get(_OUTPUTS) if old else one.response_preview,
                tags=its_tags,
                metadata=its_metadata,
                assessments=tuple(assessments[one.request_id]),
                run_ids=tuple(runs[one.request_id]),
                artifact_uri=None if its_tags.get(_SPANS) == "TRACKING_STORE" else its_tags.get(_LOCATION),
            )

    def spans(self, trace_id: str) -> bytes | None:
        """Return the spans that are in the database, as clients would have uploaded them; None if there are none."""
        if not self._tables.has("spans"):
            return None
        span = self._tables.table("spans").c
        statement = (
            sa.select(span.content)
            .where(span.trace_id == trace_id)
            .order_by(sa.case((span.parent_span_id.is_(None), 0), else_=1), span.start_time_unix_nano, span.span_id)
        )
        contents = [one.content for one in self._reading.rows(statement)]
        return f'{{"spans": [{", ".join(contents)}]}}'.encode() if contents else None

    def _pairs(self, name: str, ids: list[str]) -> Pairs:
        found: Pairs = defaultdict(dict)
        pair = self._tables.table(name).c
        statement = sa.select(pair.request_id, pair.key, pair.value).where(pair.request_id.in_(ids)).order_by(pair.key)
        for trace_id, key, value in self._reading.rows(statement):
            found[trace_id][key] = value or ""
        return found

    def _runs(self, ids: list[str]) -> dict[str, list[str]]:
        """Return the runs that traces were linked to."""
        found: dict[str, list[str]] = defaultdict(list)
        if not self._tables.has("entity_associations"):
            return found
        link = self._tables.table("entity_associations").c
        statement = (
            sa.select(link.source_id, link.destination_id)
            .where(link.source_type == "trace", link.destination_type == "run", link.source_id.in_(ids))
            .order_by(link.destination_id)
        )
        for trace_id, run_id in self._reading.rows(statement):
            found[trace_id].append(run_id)
        return found

    def _assessments(self, ids: list[str]) -> dict[str, list[AssessmentRecord]]:
        found: dict[str, list[AssessmentRecord]] = defaultdict(list)
        if not self._tables.has("assessments"):
            return found
        said = self._tables.table("assessments").c
        statement = sa.select(*said).where(said.trace_id.in_(ids)).order_by(said.created_timestamp, said.assessment_id)
        for one in self._reading.rows(statement):
            try:
                found[one.trace_id].append(_assessment(one))
            except ValueError:
                text = f"assessment {one.assessment_id} is not JSON, so it is left out"
                self._findings.add(Loss.MISSING, Entity.ASSESSMENT, f"trace {one.trace_id}", text)
        return found


def archive_of(trace: TraceRecord) -> str | None:
    """Return where MLflow 3.18 has archived a trace's spans, if it has."""
    return trace.tags.get(_ARCHIVE, "another place") if trace.tags.get(_SPANS) == "ARCHIVE_REPO" else None


def _tags(row: Row, tags: dict[str, str]) -> dict[str, str]:
    return {**tags, _NAME: row.trace_name} if row.trace_name is not None else tags


def _metadata(row: Row, metadata: dict[str, str]) -> dict[str, str]:
    """Return the metadata, together with what MLflow 3.18 keeps in separate columns."""
    found = dict(metadata)
    if row.session_id is not None:
        found[_SESSION] = row.session_id
    for key, columns in ((_TOKENS, _TOKEN_COLUMNS), (_COST, _COST_COLUMNS)):
        values = {one: getattr(row, one) for one in columns if getattr(row, one) is not None}
        if values:
            found[key] = json.dumps(values)
    return found


def _assessment(row: Row) -> AssessmentRecord:
    return AssessmentRecord(
        id=row.assessment_id,
        name=row.name,
        kind=row.assessment_type,
        value=json.loads(row.value),
        source_type=row.source_type,
        source_id=row.source_id or "",
        created_ms=row.created_timestamp,
        updated_ms=row.last_updated_timestamp,
        error=json.loads(row.error) if row.error else None,
        rationale=row.rationale,
        metadata=json.loads(row.assessment_metadata) if row.assessment_metadata else {},
        span_id=row.span_id,
        overrides=row.overrides,
        valid=bool(row.valid),
    )
