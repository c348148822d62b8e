"""An exported folder as a source."""

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

from mltrail_server.domain.errors import conflict, not_found
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

from . import folders, names, tool
from .reading import JsonFiles, Record, why

_PAGE = 5_000
_LARGEST = 256 << 20
_PLACE = re.compile(
    r"(?:(?P<experiment>[^/:]+)/models/(?P<model>m-[^/]+)|(?P<run>[0-9A-Za-z][\w-]{5,}))/artifacts(?:/(?P<path>.*))?$"
)
"""Where in an artifact store a version's files lie: below a logged model, or a run."""
_NOT_READ = ("logged_models", "traces", "prompts", "evaluation_datasets")
"""Folders that only unreleased versions of the tool have written."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What mltrail writes about a model. Files of versions have paths that begin with the version's number."""

    model: ModelRecord
    versions: tuple[VersionRecord, ...]


class ExportFolder:
    """Reads what `export-all`, `export-models`, `export-experiments`, `export-experiment`, `export-model` and
    `export-run` write, and what mltrail adds.
    """

    kind = "export"

    def __init__(self, folder: Path, findings: Findings, access: Access | None = None) -> None:
        self.address = str(folder.absolute())
        self._root = Path(os.path.realpath(folder))
        self._findings = findings
        self._json = JsonFiles(self._root, findings)
        self._artifacts = Artifacts(findings, access or Access(), base=self._root)
        self._experiment_folders: dict[str, Path] = {}
        self._run_folders: dict[str, Path] = {}
        self._model_folders: dict[str, Path] = {}
        self._versions: dict[str, list[VersionRecord]] = {}

    def describe(self) -> str:
        if not self._root.is_dir():
            raise not_found(f"There is no folder {self.address}.")
        state = self._root / names.STATE
        if state.exists():
            said = self._json.members(state, "the folder", Entity.EXPERIMENT)
            if not said.get("complete"):
                raise conflict(
                    f"The export in {self.address} is not complete. Run `mltrail-server export` again first."
                )
            return "export of mltrail"
        if not any(find(self._root) for find in (folders.experiments, folders.models, folders.loose_runs)):
            raise not_found(f"{self.address} has no experiments, models or runs in mlflow-export-import's format.")
        text = (
            "the tool does not export deleted runs, logged models, prompts or traces: if the old server still runs, "
            "import from it instead"
        )
        self._findings.add(Loss.NOTE, Entity.RUN, "the folder", text)
        return "export of mlflow-export-import"

    def experiments(self) -> Iterator[ExperimentRecord]:
        for name in _NOT_READ:
            if (self._root / name).is_dir():
                text = f"its folder {name} was written by an unreleased version of the tool, and is not read"
                self._findings.add(Loss.MISSING, Entity.EXPERIMENT, "the folder", text)
        for folder in folders.experiments(self._root):
            record = self._experiment(folder)
            self._experiment_folders[record.id] = folder
            yield record
        yield from self._without_experiment()

    def _experiment(self, folder: Path) -> ExperimentRecord:
        owner = f"experiment {folder.name}"
        own = self._json.record(folder, ExperimentRecord, owner, Entity.EXPERIMENT)
        if own is not None:
            return own
        said = self._json.members(folder / names.EXPERIMENT, owner, Entity.EXPERIMENT)
        content = tool.unwrapped(said)
        self._compare_runs(folder, said, content, owner)
        shown = content.get("experiment", content)
        return tool.experiment_of(shown if isinstance(shown, dict) else {}, folder.name)

    def _compare_runs(self, folder: Path, said: tool.Json, content: tool.Json, owner: str) -> None:
        """Compare the runs that are there with those that the tool has counted: it may have stopped halfway."""
        info = said.get("info") or said.get("export_info") or {}
        listed = content.get("runs") or info.get("ok_runs") or ()
        there = {run.name for run in folders.runs(folder)}
        missing = [str(one) for one in listed if isinstance(one, str) and one not in there]
        missing += [str(one) for one in info.get("failed_runs") or ()]
        for run_id in missing:
            self._findings.add(Loss.MISSING, Entity.RUN, f"run {run_id}", "the tool did not export it")
        total = info.get("num_total_runs")
        if isinstance(total, int) and total > len(there) + len(missing):
            text = f"the tool found {total} runs and exported {len(there)}"
            self._findings.add(Loss.MISSING, Entity.RUN, owner, text, count=total - len(there) - len(missing))

    def _without_experiment(self) -> Iterator[ExperimentRecord]:
        """Return the experiments of runs that lie with a model, or alone: only their numbers are known."""
        found: dict[str, str] = {}
        for run, model in folders.loose_runs(self._root):
            info = self._info(run)
            number = str(info.get("experiment_id", "0"))
            named = {one.get("run_id"): one.get("_experiment_name") for one in self._raw_versions(model)}
            found.setdefault(number, str(named.get(run.name) or f"experiment {number}"))
        for number, name in sorted(found.items()):
            yield ExperimentRecord(number, name)

    def _raw_versions(self, model: Path | None) -> list[dict[str, Any]]:
        said = self._registered(model) if model else {}
        versions = said.get("versions") or said.get("latest_versions") or ()
        return [one for one in versions if isinstance(one, dict)]

    def _info(self, run: Path) -> dict[str, Any]:
        try:
            info = tool.head_of(run / names.RUN)[0].get("info")
        except (ValueError, OSError):
            return {}
        return info if isinstance(info, dict) else {}

    def runs(self, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        folder = self._experiment_folders.get(experiment.id)
        for run in folders.runs(folder) if folder else ():
            yield from self._run(run, experiment)
        for run, _ in folders.loose_runs(self._root):
            if str(self._info(run).get("experiment_id", "0")) == experiment.id:
                yield from self._run(run, experiment)

    def _run(self, folder: Path, experiment: ExperimentRecord) -> Iterator[RunRecord]:
        owner = f"run {folder.name}"
        own = self._json.record(folder, RunRecord, owner, Entity.RUN)
        if own is None:
            try:
                head, points = tool.head_of(folder / names.RUN)
            except (ValueError, OSError, RecursionError) as error:
                self._findings.add(Loss.MISSING, Entity.RUN, owner, f"its {names.RUN} can't be read: {why(error)}")
                return
            own = tool.run_of(head, points, folder.name, experiment.id)
        self._run_folders[own.id] = folder
        yield own

    def points(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        for run in runs:
            page: list[Point] = []
            try:
                for point in tool.points_of(self._run_folders[run.id] / names.RUN, run.id):
                    page.append(point)
                    if len(page) == _PAGE:
                        yield page
                        page = []
            except (ValueError, TypeError, KeyError, OSError) as error:
                text = f"its metrics can only be read in part: {why(error)}"
                self._findings.add(Loss.MISSING, Entity.POINT, f"run {run.id}", text)
            if page:
                yield page

    def logged_models(self, experiment: ExperimentRecord) -> Iterator[LoggedModelRecord]:
        for folder in folders.inside(self._root / names.LOGGED_MODELS / experiment.id):
            owner = f"logged model {folder.name}"
            record = self._json.record(folder, LoggedModelRecord, owner, Entity.LOGGED_MODEL)
            if record is not None:
                yield record

    def traces(self, experiment: ExperimentRecord) -> Iterator[TraceRecord]:
        for folder in folders.inside(self._root / names.TRACES / experiment.id):
            record = self._json.record(folder, TraceRecord, f"trace {folder.name}", Entity.TRACE)
            if record is not None:
                yield record

    def spans(self, trace: TraceRecord) -> bytes | None:
        file = self._trace_folder(trace) / names.SPANS
        if not file.exists():
            return None
        try:
            with file.open("rb") as stream:
                return stream.read(_LARGEST)
        except OSError as error:
            self._findings.add(Loss.MISSING, Entity.TRACE, f"trace {trace.id}", f"its spans: {why(error)}")
            return None

    def _trace_folder(self, trace: TraceRecord) -> Path:
        return self._root / names.TRACES / trace.experiment_id / names.folder_name(trace.id)

    def scorers(self, experiment: ExperimentRecord) -> Iterator[ScorerRecord]:
        file = self._root / names.SCORERS / f"{experiment.id}.json"
        owner = f"scorers of experiment {experiment.id}"
        for one in (self._json.read(file, owner, Entity.SCORER) or ()) if file.exists() else ():
            record = self._json.converted(one, ScorerRecord, owner, Entity.SCORER)
            if record is not None:
                yield record

    def evaluation_datasets(self) -> Iterator[EvaluationDatasetRecord]:
        folder = self._root / names.DATASETS
        for file in sorted(folder.glob("*.jsonl")):
            yield from self._lines(file, EvaluationDatasetRecord, only_first=True)

    def evaluation_rows(self, dataset: EvaluationDatasetRecord) -> Iterator[EvaluationRowRecord]:
        file = self._root / names.DATASETS / f"{names.folder_name(dataset.id)}.jsonl"
        return self._lines(file, EvaluationRowRecord, only_first=False)

    def _lines(self, file: Path, kind: type[Record], *, only_first: bool) -> Iterator[Record]:
        owner = f"evaluation dataset {file.stem}"
        entity = Entity.EVALUATION_DATASET if only_first else Entity.EVALUATION_ROW
        try:
            with file.open(encoding="utf-8") as lines:
                first = next(lines, "")
                for line in [first] if only_first else lines:
                    record = self._json.converted(json.loads(line), kind, owner, entity)
                    if record is not None:
                        yield record
        except (ValueError, OSError) as error:
            self._findings.add(Loss.MISSING, entity, owner, why(error))

    def models(self) -> Iterator[ModelRecord]:
        for folder in folders.models(self._root):
            owner = f"model {folder.name}"
            if (folder / names.RECORD).exists():
                whole = self._json.record(folder, Registered, owner, Entity.MODEL)
                if whole is None:
                    continue
                record = whole.model
                self._versions[record.name] = list(whole.versions)
            else:
                registered = self._registered(folder)
                if not registered:
                    continue
                record = tool.model_of(registered, folder.name)
                self._versions[record.name] = tool.versions_of(registered, record.name)
                self._list_failed(folder, owner)
            self._model_folders[record.name] = folder
            yield record

    def _list_failed(self, folder: Path, owner: str) -> None:
        info = self._json.members(folder / names.MODEL, owner, Entity.MODEL).get("info")
        for one in (info.get("failed_versions") if isinstance(info, dict) else None) or ():
            text = f"the tool did not export version {one.get('version') if isinstance(one, dict) else one}"
            self._findings.add(Loss.MISSING, Entity.VERSION, owner, text)

    def _registered(self, folder: Path) -> dict[str, Any]:
        said = self._json.members(folder / names.MODEL, f"model {folder.name}", Entity.MODEL)
        registered = tool.unwrapped(said).get("registered_model")
        return registered if isinstance(registered, dict) else {}

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        return iter(self._versions.get(model.name, ()))

    def files(self, owner: FileOwner) -> Iterator[FileRecord]:
        match owner:
            case RunRecord():
                yield from self._files_in(self._run_folders[owner.id], f"run {owner.id}")
            case LoggedModelRecord():
                place = self._root / names.LOGGED_MODELS / owner.experiment_id / names.folder_name(owner.id)
                yield from self._files_in(place, f"logged model {owner.id}")
            case VersionRecord():
                yield from self._version_files(owner)
            case TraceRecord():
                yield from self._files_in(self._trace_folder(owner), f"trace {owner.id}")

    def _version_files(self, version: VersionRecord) -> Iterator[FileRecord]:
        """List a version's own files, or else those of the run or logged model that it names."""
        owner = f"version {version.number} of {version.model}"
        folder = self._model_folders[version.model]
        own = list(self._files_in(folder, owner)) if (folder / names.RECORD).exists() else []
        if found := list(_below(own, str(version.number))):
            yield from found
            return
        place = _PLACE.search(version.storage_location or version.source) or _PLACE.search(version.source)
        if place is None:
            return
        experiment, model_id, run_id, path = place["experiment"], place["model"], place["run"], place["path"] or ""
        if model_id:
            holder = self._root / names.LOGGED_MODELS / str(experiment) / names.folder_name(model_id)
        else:
            holder = self._run_folders.get(run_id, folder / run_id)
        yield from _below(self._files_in(holder, owner), path.strip("/"))

    def _files_in(self, folder: Path, owner: str) -> Iterator[FileRecord]:
        """List the files of a folder that has a record; without one, all that is in its artifacts."""
        if not (folder / names.RECORD).exists():
            yield from self._artifacts.files(str(folder / names.ARTIFACTS), owner)
            return
        for one in self._json.members(folder / names.RECORD, owner, Entity.FILE).get("files", ()):
            try:
                path, size, sha256 = str(one["path"]), int(one["size"]), str(one["sha256"])
                shared = bool(one["shared"])
            except (TypeError, KeyError, ValueError):
                self._findings.add(Loss.MISSING, Entity.FILE, owner, f"{names.RECORD} has a broken list of files")
                return
            place = self._root / names.FILES / sha256 if shared else folder / names.ARTIFACTS / path
            yield FileRecord(path, f"file://{quote(str(place))}", size, sha256)

    def open(self, file: FileRecord) -> BinaryIO:
        return self._artifacts.open(file)

    def totals(self) -> Counts:
        counts = Counts()
        found = folders.experiments(self._root)
        counts.add(Entity.EXPERIMENT, len(found))
        runs = sum(len(folders.runs(folder)) for folder in found) + len(folders.loose_runs(self._root))
        counts.add(Entity.RUN, runs)
        counts.add(Entity.MODEL, len(folders.models(self._root)))
        return counts

    def close(self) -> None:
        pass


def _below(files: Iterable[FileRecord], path: str) -> Iterator[FileRecord]:
    """Return the files below a path, with paths relative to it."""
    start = f"{path}/" if path else ""
    for file in files:
        if file.path.startswith(start):
            yield FileRecord(file.path.removeprefix(start), file.uri, file.size, file.sha256)
