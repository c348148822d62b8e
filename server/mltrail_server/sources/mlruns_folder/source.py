"""An `./mlruns` folder as a source."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from mltrail_server.domain.errors import MltrailError, not_found
from mltrail_server.domain.transfer import (
    Counts,
    DatasetRecord,
    Entity,
    EvaluationDatasetRecord,
    EvaluationRowRecord,
    ExperimentRecord,
    FileOwner,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelLink,
    ModelRecord,
    Point,
    RunRecord,
    ScorerRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.sources import attachments
from mltrail_server.sources.artifacts import Access, Artifacts

from .metrics import Metrics
from .registry import MODELS, Registry
from .traces import Traces
from .tree import META, Tree, number_of, text_of

_TRASH = ".trash"
_RESERVED = frozenset({"tags", "datasets", "traces", "models"})
_STATES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MODEL_STATES = {1: "PENDING", 2: "READY", 3: "UPLOAD_FAILED"}
_RUN_ID = re.compile("[0-9a-f]{32}")
_LARGEST_TRACE = 256 << 20


class MlrunsFolder:
    """Reads the folder as its client would, and more: also what MLflow ignores because a `meta.yaml` is broken."""

    kind = "folder"

    def __init__(self, folder: Path, findings: Findings, access: Access | None = None) -> None:
        self.address = str(folder.absolute())
        self._findings = findings
        self._tree = Tree(folder, findings)
        self._metrics = Metrics(self._tree, findings)
        self._registry = Registry(self._tree, findings)
        self._traces = Traces(self._tree, findings)
        beside = self._tree.root.parent / "mlartifacts"  # where `mlflow server` keeps what it proxies
        access = access or Access()
        if not access.root and beside.is_dir():
            access = replace(access, root=str(beside))
        self._artifacts = Artifacts(findings, access, base=self._tree.root)

    def describe(self) -> str:
        if not self._tree.root.is_dir():
            hint = " It is a file: for a database, say --from-database." if self._tree.root.is_file() else ""
            raise not_found(f"There is no folder {self.address}.{hint}")
        if (self._tree.root / META).is_file():
            raise not_found(f"{self.address} is one experiment of an ./mlruns folder.{self._hint()}")
        folders = self._experiment_folders()
        if not any(self._tree.has(folder / META) for folder in folders) and not (self._tree.root / MODELS).is_dir():
            if any(_RUN_ID.fullmatch(run.name) for folder in folders for run in self._run_folders(folder)):
                raise not_found(
                    f"{self.address} has files of runs but no run data, which must be in a database. Import that with "
                    f"--from-database, and add --artifacts {self.address}."
                )
            raise not_found(
                f"{self.address} is not an ./mlruns folder: it has no experiment with a {META}.{self._hint()}"
            )
        return f"MLflow folder with {len(folders)} experiments"

    def _hint(self) -> str:
        """Name the folder that was meant, if it is the one above or one below."""
        root = self._tree.root
        near = [root.parent] if (root / META).is_file() else []
        near += sorted(one for one in root.iterdir() if one.is_dir() and any(one.glob(f"*/{META}")))
        return f" Did you mean {Path(self.address).parent if near[0] == root.parent else near[0]}?" if near else ""

    def experiments(self) -> Iterator[ExperimentRecord]:
        for folder in self._experiment_folders():
            owner = f"experiment {folder.name}"
            meta = self._experiment_meta(folder, owner)
            if meta is None:
                continue
            in_trash = folder.parent.name == _TRASH
            yield ExperimentRecord(
                id=folder.name,
                name=text_of(meta, "name") or f"experiment {folder.name}",
                deleted=in_trash or meta.get("lifecycle_stage") == "deleted",
                created_ms=number_of(meta, "creation_time"),
                updated_ms=number_of(meta, "last_update_time"),
                artifact_location=text_of(meta, "artifact_location"),
                tags=self._tree.texts(folder / "tags", owner, Entity.EXPERIMENT),
            )

    def _experiment_meta(self, folder: Path, owner: str) -> dict[str, Any] | None:
        """Read the experiment's `meta.yaml`. If it is broken, its runs are imported anyway."""
        if not self._tree.has(folder / META) and not any(
            _RUN_ID.fullmatch(run.name) for run in self._run_folders(folder)
        ):
            return None  # not an experiment
        meta = self._tree.yaml(folder / META, owner, Entity.EXPERIMENT)
        if meta is None:
            text = f"its name is not known; here it is called 'experiment {folder.name}'"
            self._findings.add(Loss.CHANGED, Entity.EXPERIMENT, owner, text)
            return {}
        return meta

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        folder = self._folder_of(experiment.id)
        for run in self._run_folders(folder):
            record = self._run(run, experiment)
            if record is not None:
                yield record

    def _run(self, folder: Path, experiment: ExperimentRecord) -> RunRecord | None:
        owner = f"run {folder.name}"
        if not (self._tree.has(folder / META) or any((folder / part).is_dir() for part in ("params", "metrics"))):
            return None  # files that lie here, but no run
        meta = self._tree.yaml(folder / META, owner, Entity.RUN)
        if meta is None:
            text = "its times and state are not known, so it is imported as FAILED"
            self._findings.add(Loss.CHANGED, Entity.RUN, owner, text)
            meta = {"status": 4}
        for key, here in (("experiment_id", experiment.id), ("run_id", folder.name)):
            if (said := text_of(meta, key)) not in {None, here}:
                text = f"its {META} says {key} {said}, so MLflow ignores it: move it or correct the file"
                self._findings.add(Loss.REFUSED, Entity.RUN, owner, text)
                return None
        tags = self._tree.texts(folder / "tags", owner, Entity.TAG)
        status = number_of(meta, "status")
        return RunRecord(
            id=folder.name,
            experiment_id=experiment.id,
            name=text_of(meta, "run_name") or tags.get("mlflow.runName") or text_of(meta, "name") or "",
            user=text_of(meta, "user_id") or tags.get("mlflow.user", ""),
            status=_STATES.get(status or 1, "RUNNING"),
            started_ms=number_of(meta, "start_time"),
            ended_ms=number_of(meta, "end_time"),
            deleted=meta.get("lifecycle_stage") == "deleted",
            deleted_ms=number_of(meta, "deleted_time"),
            artifact_uri=text_of(meta, "artifact_uri") or str(folder / "artifacts"),
            params=self._tree.texts(folder / "params", owner, Entity.PARAM),
            tags=tags,
            points=self._metrics.count(folder / "metrics"),
            datasets=tuple(self._datasets(folder, owner)),
            model_inputs=tuple(self._model_inputs(folder, owner)),
            model_outputs=tuple(self._model_outputs(folder, owner)),
        )

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        for run in runs:
            yield from self._metrics.points(self._folder_of(run.experiment_id) / run.id / "metrics", run)

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        folder = self._folder_of(experiment.id)
        for model in self._tree.folders(folder / "models", f"experiment {experiment.id}", Entity.LOGGED_MODEL):
            owner = f"logged model {model.name}"
            meta = self._tree.yaml(model / META, owner, Entity.LOGGED_MODEL)
            if meta is None:
                continue
            status = number_of(meta, "status")
            yield LoggedModelRecord(
                id=text_of(meta, "model_id") or model.name,
                experiment_id=experiment.id,
                name=text_of(meta, "name") or "",
                model_type=text_of(meta, "model_type") or "",
                source_run_id=text_of(meta, "source_run_id") or "",
                status=_MODEL_STATES.get(status or 1, "PENDING"),
                created_ms=number_of(meta, "creation_timestamp") or 0,
                updated_ms=number_of(meta, "last_updated_timestamp") or 0,
                artifact_uri=text_of(meta, "artifact_location") or str(model / "artifacts"),
                status_message=text_of(meta, "status_message") or None,
                deleted=meta.get("lifecycle_stage") == "deleted",
                tags=self._tree.texts(model / "tags", owner, Entity.LOGGED_MODEL),
                params=self._tree.texts(model / "params", owner, Entity.LOGGED_MODEL),
                metrics=tuple(self._metrics.of_model(model / "metrics", owner)),
            )

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        return self._traces.of(self._folder_of(experiment.id), experiment.id)

    def spans(self, trace: TraceRecord) -> bytes | None:
        owner = f"trace {trace.id}"
        file = next((one for one in self._trace_files(trace) if one.path == attachments.SPANS), None)
        return None if file is None else self._read(file, owner)

    def _trace_files(self, trace: TraceRecord) -> Iterator[FileRecord]:
        own = self._folder_of(trace.experiment_id) / "traces" / trace.id / "artifacts"
        uri = str(own) if own.is_dir() else self._located(trace.artifact_uri or "")
        return self._artifacts.files(uri, f"trace {trace.id}") if uri else iter(())

    def _read(self, file: FileRecord, owner: str) -> bytes | None:
        try:
            with self._artifacts.open(file) as stream:
                return stream.read(_LARGEST_TRACE)
        except MltrailError as error:
            self._findings.add(Loss.MISSING, Entity.TRACE, owner, error.message)
            return None

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        """Return nothing: FileStore keeps no scorers."""
        del experiment
        return iter(())

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        """Return nothing: FileStore keeps no evaluation datasets."""
        return iter(())

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        del dataset
        return iter(())

    def models(self) -> Iterator[ModelRecord]:
        return self._registry.models()

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        return self._registry.versions(model)

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        match owner:
            case RunRecord():
                own = self._folder_of(owner.experiment_id) / owner.id / "artifacts"
                yield from self._files_at(own, owner.artifact_uri, f"run {owner.id}")
            case LoggedModelRecord():
                own = self._folder_of(owner.experiment_id) / "models" / owner.id / "artifacts"
                yield from self._files_at(own, owner.artifact_uri, f"logged model {owner.id}")
            case VersionRecord():
                where = self._located(owner.storage_location or owner.source)
                yield from self._artifacts.files(where, f"version {owner.number} of {owner.model}")
            case TraceRecord():
                yield from (one for one in self._trace_files(owner) if one.path != attachments.SPANS)

    def _files_at(self, own: Path, recorded: str, owner: str) -> Iterator[FileRecord]:
        """List the files in the owner's own folder; if that is empty, where its `meta.yaml` says."""
        found = False
        for file in self._artifacts.files(str(own), owner):
            found = True
            yield file
        where = self._located(recorded)
        if not found and where != str(own):
            yield from self._artifacts.files(where, owner)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._artifacts.open(file)

    def totals(self) -> Counts:
        counts = Counts()
        folders = self._experiment_folders()
        counts.add(Entity.EXPERIMENT, len(folders))
        counts.add(Entity.RUN, sum(len(self._run_folders(folder)) for folder in folders))
        models, versions = self._registry.count()
        counts.add(Entity.MODEL, models)
        counts.add(Entity.VERSION, versions)
        return counts

    def close(self) -> None:
        pass

    def _experiment_folders(self) -> list[Path]:
        root = self._tree.root
        found = [
            *self._tree.folders(root, "the folder", Entity.EXPERIMENT),
            *self._tree.folders(root / _TRASH, "the folder", Entity.EXPERIMENT),
        ]
        return [folder for folder in found if folder.name not in {_TRASH, MODELS}]

    def _folder_of(self, experiment_id: str) -> Path:
        active = self._tree.root / experiment_id
        return active if active.is_dir() else self._tree.root / _TRASH / experiment_id

    def _run_folders(self, folder: Path) -> list[Path]:
        found = self._tree.folders(folder, f"experiment {folder.name}", Entity.RUN)
        return [run for run in found if run.name not in _RESERVED]

    def _located(self, uri: str) -> str:
        """Find a recorded folder in this one: the absolute path of another machine ends as a path in here does."""
        scheme = urlsplit(uri).scheme
        if scheme not in {"", "file"}:
            return uri
        parts = [part for part in unquote(urlsplit(uri).path if scheme else uri).split("/") if part not in {"", "."}]
        if ".." in parts:
            return uri
        for begin in range(max(0, len(parts) - 40), len(parts) - 2):
            for root in (self._tree.root, self._tree.root / _TRASH):
                here = root.joinpath(*parts[begin:])
                if os.path.lexists(here):
                    return str(here)
        return uri

    def _metas(self, folder: Path, owner: str, entity: Entity) -> Iterable[dict[str, Any]]:
        for inner in self._tree.folders(folder, owner, entity):
            meta = self._tree.yaml(inner / META, owner, entity)
            if meta is not None:
                yield meta

    def _datasets(self, run: Path, owner: str) -> Iterator[DatasetRecord]:
        for link in self._metas(run / "inputs", owner, Entity.DATASET):
            if link.get("source_type") != "DATASET":
                continue
            where = run.parent / "datasets" / (text_of(link, "source_id") or "-")
            meta = self._tree.yaml(where / META, owner, Entity.DATASET)
            if meta is None:
                continue
            tags = link.get("tags")
            yield DatasetRecord(
                name=text_of(meta, "name") or "",
                digest=text_of(meta, "digest") or "",
                source_type=text_of(meta, "source_type") or "",
                source=text_of(meta, "source") or "",
                schema=text_of(meta, "schema"),
                profile=text_of(meta, "profile"),
                tags={str(key): str(value) for key, value in tags.items()} if isinstance(tags, dict) else {},
            )

    def _model_inputs(self, run: Path, owner: str) -> Iterator[ModelLink]:
        for link in self._metas(run / "inputs", owner, Entity.LOGGED_MODEL):
            if link.get("source_type") == "MODEL" and (model_id := text_of(link, "source_id")):
                yield ModelLink(model_id)

    def _model_outputs(self, run: Path, owner: str) -> Iterator[ModelLink]:
        for link in self._metas(run / "outputs", owner, Entity.LOGGED_MODEL):
            if model_id := text_of(link, "destination_id", "source_id"):
                yield ModelLink(model_id, number_of(link, "step") or 0)
