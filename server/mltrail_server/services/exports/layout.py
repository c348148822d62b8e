"""Write a project's history in the layout of mlflow-export-import, and beside it what that layout has no place for."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import (
    Counts,
    Entity,
    ExperimentRecord,
    FileRecord,
    Findings,
    LoggedModelRecord,
    Loss,
    ModelRecord,
    RunRecord,
    TraceRecord,
    VersionRecord,
)
from mltrail_server.services.context.deps import Deps
from mltrail_server.sources.export_folder import Registered, names
from mltrail_server.store.db.project import Project

from . import tool_json
from .folder import Folder, Unit, as_json
from .history import ProjectHistory

LOADER = "load_into_mlflow.py"
STATE = names.STATE
_PROGRAM = Path(__file__).with_name(LOADER)
Progress = Callable[[Counts], None]
_STAYS = "this layout has no stamps, promotions, provenance or audit trail; `--format archive` has them"


@dataclass(slots=True)
class Written:
    """What was exported, and what is missing."""

    counts: Counts = field(default_factory=Counts)
    findings: Findings = field(default_factory=Findings)

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": {entity.value: self.counts[entity] for entity in Entity},
            "findings": [one.line() for one in self.findings.kept],
            "lost": self.findings.lost,
        }


def write(deps: Deps, project: Project, path: str, to: Path, progress: Progress = lambda _counts: None) -> Written:
    """Write the project's history to a folder that is new or empty, or has an unfinished export of it.

    Raises CONFLICT for any other folder. What can't be read is a finding; the rest follows.
    """
    written = Written()
    source = ProjectHistory(deps, project.project_id, path, written.findings)
    folder = Folder(to, {"id": project.project_id, "path": path}, written.findings)
    folder.begin()
    _Export(source, folder, written, progress).run()
    return written


class _Export:
    def __init__(self, source: ProjectHistory, folder: Folder, written: Written, progress: Progress) -> None:
        self._source = source
        self._folder = folder
        self._counts = written.counts
        self._findings = written.findings
        self._progress = progress
        self._imported: dict[str, ExperimentRecord] = {}
        """The runs that the tool imports, with their experiments."""

    def run(self) -> None:
        self._findings.add(Loss.NOTE, Entity.RUN, "the project", _STAYS)
        shown = [one for one in (self._experiment(one) for one in self._source.experiments()) if one is not None]
        self._folder.write(f"experiments/{names.EXPERIMENTS}", tool_json.wrapped({"experiments": shown}, {}))
        self._evaluation_datasets()
        models = [name for name in (self._model(one) for one in self._source.models()) if name is not None]
        self._folder.write(f"models/{names.MODELS}", tool_json.wrapped({"models": models}, {}))
        self._folder.write("manifest.json", tool_json.wrapped({}, {"experiments": len(shown), "models": len(models)}))
        shutil.copyfile(_PROGRAM, self._folder.root / LOADER)
        self._folder.finish(self._counts)

    def _experiment(self, one: ExperimentRecord) -> dict[str, Any] | None:
        """Write an experiment with its runs, logged models, traces and scorers; return what the tool reads of it."""
        path = f"experiments/{one.id}"
        live = [] if one.deleted else self._source.live_runs(one)
        self._imported.update(dict.fromkeys(live, one))
        for run in self._source.runs(one):
            self._run(path, run)
        self._folder.write(f"{path}/{names.EXPERIMENT}", tool_json.experiment(one, live))
        self._folder.write(f"{path}/{names.RECORD}", {"record": as_json(one)})
        self._counts.add(Entity.EXPERIMENT)
        for model in self._source.logged_models(one):
            self._logged_model(model)
        for trace in self._source.traces(one):
            self._trace(trace)
        if scorers := list(self._source.scorers(one)):
            self._folder.write(f"{names.SCORERS}/{one.id}.json", [as_json(scorer) for scorer in scorers])
            self._counts.add(Entity.SCORER, len(scorers))
        return None if one.deleted else {"id": one.id, "name": one.name, "ok_runs": len(live), "failed_runs": 0}

    def _run(self, path: str, run: RunRecord) -> None:
        def add(unit: Unit) -> None:
            parent = self._imported.get(run.tags.get(tool_json.PARENT_TAG, ""))
            with_parent = parent is not None and parent.id == run.experiment_id
            self._write_run(unit.path / names.RUN, run, with_parent=with_parent)

        self._unit(f"{path}/{run.id}", run, self._source.files(run), f"run {run.id}", add)
        self._counts.add(Entity.DELETED_RUN if run.deleted else Entity.RUN)
        self._counts.add(Entity.PARAM, len(run.params))
        self._counts.add(Entity.TAG, len(run.tags))
        self._counts.add(Entity.POINT, run.points or 0)
        self._counts.add(Entity.DATASET, len(run.datasets))
        self._note_elsewhere(run.artifact_uri, f"run {run.id}")

    def _write_run(self, target: Path, run: RunRecord, *, with_parent: bool) -> None:
        """Write `run.json`, one point per line: a history may be longer than memory."""
        shape = json.dumps(tool_json.run(run, with_parent=with_parent), indent=1)
        head, _, _ = shape.rpartition("{}")
        with target.open("w", encoding="utf-8") as out:
            out.write(head + "{")
            key = None
            for _, name, step, moment, value in chain.from_iterable(self._source.points([run])):
                if name != key:
                    out.write(f"{'' if key is None else ']'}{'' if key is None else ','}\n{json.dumps(name)}: [\n")
                    key = name
                else:
                    out.write(",\n")
                out.write(json.dumps({"value": value, "timestamp": moment, "step": step}))
            out.write(f"{'' if key is None else ']'}}}\n}}}}\n")

    def _logged_model(self, model: LoggedModelRecord) -> None:
        owner = f"logged model {model.id}"
        path = f"{names.LOGGED_MODELS}/{model.experiment_id}/{names.folder_name(model.id)}"
        self._unit(path, model, self._source.files(model), owner)
        self._counts.add(Entity.LOGGED_MODEL)
        self._counts.add(Entity.MODEL_METRIC, len(model.metrics))
        self._note_elsewhere(model.artifact_uri, owner)

    def _trace(self, trace: TraceRecord) -> None:
        def add(unit: Unit) -> None:
            spans = self._source.spans(trace)
            if spans is not None:
                (unit.path / names.SPANS).write_bytes(spans)

        path = f"{names.TRACES}/{trace.experiment_id}/{names.folder_name(trace.id)}"
        self._unit(path, trace, self._source.files(trace), f"trace {trace.id}", add)
        self._counts.add(Entity.TRACE)
        self._counts.add(Entity.ASSESSMENT, len(trace.assessments))

    def _evaluation_datasets(self) -> None:
        for one in self._source.evaluation_datasets():
            target = self._folder.root / names.DATASETS / f"{names.folder_name(one.id)}.jsonl"
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("w", encoding="utf-8") as out:
                out.write(json.dumps(as_json(one)) + "\n")
                for row in self._source.evaluation_rows(one):
                    out.write(json.dumps(as_json(row)) + "\n")
                    self._counts.add(Entity.EVALUATION_ROW)
            self._counts.add(Entity.EVALUATION_DATASET)

    def _model(self, model: ModelRecord) -> str | None:
        """Write a model with its versions; return its name if the tool can import it."""
        whole = Registered(model, tuple(self._source.versions(model)))

        def add(unit: Unit) -> None:
            shown = [tool_json.version(one, self._imported, _aliases(model, one)) for one in whole.versions]
            unit.write_json(names.MODEL, tool_json.model(model, [one for one in shown if one is not None]))

        name = names.folder_name(model.name)
        files = chain.from_iterable(self._version_files(one) for one in whole.versions)
        self._unit(f"models/{name}", whole, files, f"model {model.name}", add)
        prompt = tool_json.is_prompt(model)
        self._counts.add(Entity.PROMPT if prompt else Entity.MODEL)
        self._counts.add(Entity.VERSION, len(whole.versions))
        self._counts.add(Entity.ALIAS, len(model.aliases))
        return None if prompt or name != model.name else name

    def _version_files(self, version: VersionRecord) -> Iterator[FileRecord]:
        self._note_elsewhere(version.storage_location or "", f"version {version.number} of {version.model}")
        for file in self._source.own_files(version):
            yield replace(file, path=f"{version.number}/{file.path}")

    def _unit(
        self,
        path: str,
        record: Any,  # noqa: ANN401 - any of the records
        files: Iterable[FileRecord],
        owner: str,
        add: Callable[[Unit], None] = lambda _unit: None,
    ) -> None:
        """Write a folder with a record, its files and what `add` adds."""

        def complete(unit: Unit, listed: list[FileRecord]) -> None:
            for file in listed:
                try:
                    self._folder.copy(unit, file, self._source.open(file))
                except MltrailError as error:
                    self._findings.add(Loss.MISSING, Entity.FILE, owner, error.message)
            add(unit)

        entries = self._folder.unit(path, record, list(files), complete)
        self._counts.add(Entity.FILE, len(entries))
        self._counts.add(Entity.BYTES, sum(one["size"] for one in entries))
        self._progress(self._counts)

    def _note_elsewhere(self, uri: str, owner: str) -> None:
        if uri and not uri.startswith("mlflow-artifacts:"):
            self._findings.add(Loss.NOTE, Entity.FILE, owner, f"its files are at {uri}, and stay there")


def _aliases(model: ModelRecord, version: VersionRecord) -> list[str]:
    return [alias for alias, number in model.aliases.items() if number == version.number]
