"""An MLflow database as a place to import from."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import sqlalchemy as sa

from mltrail_server.domain import limits
from mltrail_server.domain.errors import MltrailError, not_found
from mltrail_server.domain.model import PROMPT_TAG
from mltrail_server.domain.transfer import (
    Counts,
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.sources.artifacts import Access, Artifacts
from mltrail_server.sources.attachments import SPANS, Attachments
from mltrail_server.sources.credentials import Credentials

from . import evaluation, experiments, logged_models
from .opening import Reading, read_address
from .points import Points
from .registry import Registry
from .runs import Runs
from .tables import Tables
from .totals import Totals, note_the_rest
from .traces import Traces, archive_of

_DEFAULT = "default"
_MODEL_HISTORY = "mlflow.log-model.history"


class MlflowDatabase:
    """Reads a database as MLflow 1.28 to 3.18 keep it. See `domain.transfer.Source`."""

    kind = "database"

    def __init__(self, url: str, findings: Findings, access: Access | None = None, *, workspace: str = "") -> None:
        """Connect. Raises `MltrailError` if that fails, or if this is no database of MLflow.

        `url` is the old server's --backend-store-uri, or the path of an SQLite file. `workspace` is the one of MLflow
        3.10 and later to read; the URL can name it as `?workspace=`, else it is `default`.
        """
        access = access or Access()
        address = read_address(url, access.credentials)
        if address.took_credentials:
            access = replace(access, credentials=Credentials())
        self.address = address.shown
        self._findings = findings
        self._reading = Reading(address, findings)
        try:
            self._tables = Tables(self._reading)
            self._workspace = workspace or address.workspace or _DEFAULT
            self._check_workspace()
        except BaseException:
            self._reading.close()
            raise
        self._artifacts = Artifacts(findings, access, base=address.file.parent if address.file else None)
        self._attachments = Attachments(self._artifacts, findings)
        self._runs = Runs(self._reading, self._tables)
        self._points = Points(self._reading, self._tables)
        self._registry = Registry(self._reading, self._tables, self._workspace)
        self._traces = Traces(self._reading, self._tables, findings)
        self._noted = False

    def describe(self) -> str:
        if not self._noted:
            self._noted = True
            note_the_rest(self._reading, self._tables, self._findings, self._workspace)
        return self._tables.describe()

    def experiments(self) -> Iterator[ExperimentRecord]:
        return experiments.experiments(self._reading, self._tables, self._workspace)

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        return self._runs.of(experiment)

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        return self._points.of(runs)

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        return logged_models.logged_models(self._reading, self._tables, experiment)

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        return self._traces.of(experiment)

    def spans(self, trace: TraceRecord) -> bytes | None:
        content = self._traces.spans(trace.id) or self._spans_file(trace)
        self._attachments.expect(trace, content or b"")
        return content

    def _spans_file(self, trace: TraceRecord) -> bytes | None:
        owner = f"trace {trace.id}"
        if archived := archive_of(trace):
            text = f"MLflow archived its spans as traces.pb at {archived}, which can't be read here"
            self._findings.add(Loss.MISSING, Entity.TRACE, owner, text)
            return None
        if not trace.artifact_uri:
            return None
        lost = self._findings.lost
        for file in self._artifacts.files(trace.artifact_uri, owner):
            if file.path == SPANS:
                return self._content(file, owner)
        if self._findings.lost == lost and trace.state != "IN_PROGRESS":
            text = f"its spans are missing: there is no {SPANS} in {trace.artifact_uri}"
            self._findings.add(Loss.MISSING, Entity.TRACE, owner, text)
        return None

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        return evaluation.scorers(self._reading, self._tables, experiment)

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        return evaluation.datasets(self._reading, self._tables, self._workspace)

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        return evaluation.rows(self._reading, self._tables, dataset, self._findings)

    def models(self) -> Iterator[ModelRecord]:
        return self._registry.models()

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        return self._registry.versions(model)

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        if isinstance(owner, VersionRecord):
            name = f"version {owner.number} of {owner.model}"
            uri = None if owner.tags.get(PROMPT_TAG, "").lower() == "true" else self._location(owner)
            return self._artifacts.files(uri, name, expected=True) if uri else iter(())
        if isinstance(owner, TraceRecord):
            return self._attachments.of(owner)
        if isinstance(owner, LoggedModelRecord):
            return self._artifacts.files(
                owner.artifact_uri, f"logged model {owner.id}", expected=owner.status == "READY"
            )
        if not owner.artifact_uri:
            return iter(())
        expected = _MODEL_HISTORY in owner.tags and not owner.model_outputs
        return self._artifacts.files(owner.artifact_uri, f"run {owner.id}", expected=expected)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._artifacts.open(file)

    def totals(self) -> Counts:
        return Totals(self._reading, self._tables, self._workspace).counts()

    def close(self) -> None:
        self._artifacts.close()
        self._reading.close()

    def _content(self, file: FileRecord, owner: str) -> bytes | None:
        try:
            with self._artifacts.open(file) as stream:
                return stream.read(limits.MAX_TRACE_BYTES + 1)
        except MltrailError as error:
            self._findings.add(Loss.MISSING, Entity.TRACE, owner, f"its spans can't be read: {error.message}")
            return None

    def _location(self, version: VersionRecord) -> str | None:
        """Return the folder of a version's files: its source may be an id that only the database can resolve."""
        if version.storage_location:
            return version.storage_location
        if version.logged_model_id:
            found = logged_models.location(self._reading, self._tables, version.logged_model_id)
            below = version.source.removeprefix(f"models:/{version.logged_model_id}").strip("/")
            return f"{found}/{below}".rstrip("/") if found else version.source
        if version.source.startswith("runs:/"):
            run_id, _, below = version.source.removeprefix("runs:/").strip("/").partition("/")
            run = self._tables.table("runs").c
            found = self._reading.value(sa.select(run.artifact_uri).where(run.run_uuid == run_id))
            return f"{found}/{below}".rstrip("/") if found else version.source
        return version.source or None

    def _check_workspace(self) -> None:
        if not self._tables.has("workspaces") or self._workspace == _DEFAULT:
            return
        name = self._tables.table("workspaces").c.name
        known = [one[0] for one in self._reading.rows(sa.select(name).order_by(name))]
        if self._workspace not in known:
            raise not_found(f"{self.address} has no workspace {self._workspace}, but {', '.join(known) or 'none'}.")
