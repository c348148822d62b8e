"""A project that leaves: exported, and loaded into a stock `mlflow server` 3.18 by the program in the folder."""

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.domain.transfer import Findings, Source
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.exports.history import ProjectHistory
from mltrail_server.services.imports import importer
from mltrail_server.services.imports.plan import Plan
from mltrail_server.services.imports.progress import Progress
from mltrail_server.sources.artifacts import Access
from mltrail_server.sources.mlflow_database import MlflowDatabase
from tests.api.exports.exporting import ONE, TWO, written
from tests.api.exports.history import LONG_FILE, fill
from tests.clients.environments import ENVIRONMENTS
from tests.differential.servers import mlflow_server
from tests.mlflow_client import Mlflow
from tests.processes import PATIENCE_SECONDS

BACKENDS = ("sqlite",)
PYTHON = ENVIRONMENTS / "mlflow-3/bin/python"
SERVERS_TAGS = ("mlflow.artifactLocation", "mlflow.trace.spansLocation", "mltrail.run_id", "mltrail.imported_from")
OF_EXPERIMENT = ("name", "deleted", "tags")
OF_RUN = ("name", "user", "status", "started_ms", "ended_ms", "deleted", "params", "tags", "datasets")
LINKS = ("model_inputs", "model_outputs")
OF_LOGGED_MODEL = ("name", "model_type", "source_run_id", "status", "deleted", "tags", "params", "metrics")
OF_TRACE = ("state", "started_ms", "duration_ms", "client_request_id", "request_preview", "response_preview", "tags")
OF_ASSESSMENT = ("name", "kind", "value", "source_type", "source_id", "created_ms", "rationale", "valid")
OF_MODEL = ("description", "tags", "aliases")
OF_VERSION = ("number", "run_id", "logged_model_id", "description", "stage", "tags")


def shown(record: Any, *names: str) -> dict[str, Any]:
    """What MLflow keeps of a record."""
    found = {name: value for name, value in asdict(record).items() if name in names}
    if "tags" in found:
        found["tags"] = {key: value for key, value in found["tags"].items() if key not in SERVERS_TAGS}
    return {name: value if value != "" else None for name, value in found.items()}


def contents(source: Source, owner: Any) -> dict[str, str]:
    found = {}
    for file in source.files(owner):
        with source.open(file) as stream:
            found[file.path] = stream.read().decode()
    return {path: content for path, content in found.items() if path != LONG_FILE}


def readable(source: Source, ids: dict[str, str]) -> Any:
    """Everything that MLflow can keep, by names; `ids` maps IDs to those that they had before."""
    found: dict[str, Any] = {}
    for experiment in source.experiments():
        found[f"experiment {experiment.name}"] = shown(experiment, *OF_EXPERIMENT)
        for run in source.runs(experiment):
            points = sorted(repr(point[1:]) for page in source.points([run]) for point in page)
            found[f"run {run.id}"] = [shown(run, *OF_RUN, *LINKS), points, contents(source, run)]
        for model in source.logged_models(experiment):
            found[f"logged model {model.id}"] = [shown(model, *OF_LOGGED_MODEL), contents(source, model)]
        for trace in source.traces(experiment):
            said = [shown(one, *OF_ASSESSMENT) for one in trace.assessments]
            spans = json.loads(source.spans(trace) or b"{}").get("spans", [])
            runs = [trace.metadata.get("mlflow.sourceRun"), *trace.run_ids]
            names = [span["name"] for span in spans]
            found[f"trace {trace.id}"] = [shown(trace, *OF_TRACE), said, names, sorted(set(filter(None, runs)))]
        for scorer in source.scorers(experiment):
            found[f"scorer {scorer.name} {scorer.version}"] = json.loads(scorer.serialized)
    for dataset in source.evaluation_datasets():
        rows = [shown(row, "inputs", "outputs", "expectations") for row in source.evaluation_rows(dataset)]
        found[f"dataset {dataset.name}"] = rows
    for registered in source.models():
        versions = [[shown(one, *OF_VERSION), contents(source, one)] for one in source.versions(registered)]
        found[f"model {registered.name}"] = [shown(registered, *OF_MODEL), versions]
    text = json.dumps(found, sort_keys=True, indent=1)
    for new, old in ids.items():
        text = text.replace(new, old)
    return json.loads(text)


def load(folder: Path, url: str, *more: str) -> "subprocess.CompletedProcess[str]":
    command = [str(PYTHON), str(folder / "load_into_mlflow.py"), "--tracking-uri", url, *more]
    environment = os.environ | {"HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=PATIENCE_SECONDS
    )


@pytest.mark.clients
def test_a_stock_server_has_everything_that_it_can_keep(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    fill(mlflow)
    written(deps, tmp_path / "out")
    (tmp_path / "server").mkdir()
    with mlflow_server(tmp_path / "server") as url:
        first = load(tmp_path / "out", url)
        journal = tmp_path / "out/loaded-into-mlflow.jsonl"
        lines = journal.read_text().splitlines(keepends=True)
        journal.write_text("".join(lines)[:-20])  # as if it had been killed in that moment
        again = load(tmp_path / "out", url)
        other = load(tmp_path / "out", f"{url}/other")
    [missing] = [line for line in first.stdout.splitlines() if line.startswith("missing")]
    assert "the name of deep/" in missing
    assert first.returncode == 1
    assert again.returncode == 1
    assert "The journal belongs to another server" in other.stderr
    made: dict[str, str] = {}
    for line in lines:
        made |= json.loads(line)
    ids = {
        new: key.split(" ")[-1] for key, new in made.items() if len(new) >= 32 and key.startswith(("run ", "logged"))
    }
    findings = Findings()
    access = Access(root=str(tmp_path / "server/files"))
    stock = MlflowDatabase(f"sqlite:///{tmp_path}/server/mlflow.db", findings, access)
    here = readable(ProjectHistory(deps, ONE, "1", findings), {})
    assert readable(stock, ids) == here
    importer.bring(deps, stock, [Plan(TWO, "2")], findings, Progress(lambda: 0.0))
    assert readable(ProjectHistory(deps, TWO, "2", findings), ids) == here
