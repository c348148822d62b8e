"""MLflow's databases: our reader says the same as the MLflow that has written them."""

import json
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from mltrail_server.domain.transfer import (
    Counts,
    Entity,
    ExperimentRecord,
    Findings,
    RunRecord,
    TraceRecord,
)
from mltrail_server.sources.mlflow_database import MlflowDatabase
from mltrail_server.sources.mlflow_database import points as histories
from tests.sources.filled import GENERATIONS, Filled


@pytest.fixture(params=GENERATIONS)
def filled(request: pytest.FixtureRequest, all_filled: dict[str, Filled]) -> Filled:
    return all_filled[request.param]


@pytest.fixture
def findings() -> Findings:
    return Findings()


@pytest.fixture
def source(filled: Filled, findings: Findings) -> Iterator[MlflowDatabase]:
    made = MlflowDatabase(f"sqlite:///{filled.path}", findings)
    yield made
    made.close()
    assert findings.kept == []


def all_runs(source: MlflowDatabase) -> dict[str, RunRecord]:
    return {run.id: run for experiment in source.experiments() for run in source.runs(experiment)}


def plain(value: float) -> float | str:
    return "NaN" if math.isnan(value) else value


def by(key: str, rows: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    return {one[key]: one for one in rows}


def as_mlflow_shows(experiment: ExperimentRecord) -> dict[str, Any]:
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": experiment.artifact_location,
        "lifecycle_stage": "deleted" if experiment.deleted else "active",
        "creation_time": experiment.created_ms,
        "last_update_time": experiment.updated_ms,
        "tags": experiment.tags,
    }


@pytest.mark.clients
def test_experiments(filled: Filled, source: MlflowDatabase) -> None:
    shown = by("experiment_id", filled.shown["experiments"])
    read = {one.id: as_mlflow_shows(one) for one in source.experiments()}
    assert read.keys() == shown.keys()
    for number, experiment in read.items():
        assert experiment == {"creation_time": None, "last_update_time": None} | {
            key: value for key, value in shown[number].items() if key in experiment
        }


@pytest.mark.clients
def test_runs(filled: Filled, source: MlflowDatabase) -> None:
    read = all_runs(source)
    shown = {one["info"]["run_id"]: one for one in filled.shown["runs"]}
    assert read.keys() == shown.keys()
    for run_id, run in read.items():
        info = shown[run_id]["info"]
        assert (run.user, run.status, run.started_ms, run.ended_ms, run.artifact_uri) == (
            info["user_id"], info["status"], info["start_time"], info["end_time"], info["artifact_uri"],
        )  # fmt: skip
        assert run.deleted == (info["lifecycle_stage"] == "deleted") == (run.deleted_ms is not None)
        assert run.name == shown[run_id]["tags"].get("mlflow.runName", "")
        assert (run.params, run.tags) == (shown[run_id]["params"], shown[run_id]["tags"])
        assert {key: (step, at, plain(value)) for _, key, step, at, value in run.latest} == {
            one["key"]: (one["step"], one["timestamp"], plain(one["value"])) for one in shown[run_id]["latest"]
        }
    assert [(run.experiment_id, run.started_ms, run.id) for run in read.values()] == sorted(
        (run.experiment_id, run.started_ms, run.id) for run in read.values()
    )


@pytest.mark.clients
def test_what_runs_read_and_made(filled: Filled, source: MlflowDatabase) -> None:
    for run_id, run in all_runs(source).items():
        shown = next(one for one in filled.shown["runs"] if one["info"]["run_id"] == run_id)
        datasets = sorted(shown.get("dataset_inputs", []), key=lambda one: str(one["dataset"]["name"]))
        assert [
            (one.name, one.digest, one.source_type, one.source, one.schema, one.profile, one.tags)
            for one in run.datasets
        ] == [(*one["dataset"].values(), one["tags"]) for one in datasets]
        assert [{"model_id": one.model_id, "step": one.step} for one in run.model_outputs] == shown.get(
            "model_outputs", []
        )
        assert [one.model_id for one in run.model_inputs] == shown.get("model_inputs", [])


@pytest.mark.clients
@pytest.mark.parametrize("page", [20_000, 3, 1])
def test_histories(filled: Filled, source: MlflowDatabase, page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histories, "PAGE", page)
    runs = list(all_runs(source).values())
    pages = list(source.points(runs))
    read = [point for one in pages for point in one]
    shown = {
        (run["info"]["run_id"], one["key"], one["step"], one["timestamp"], plain(one["value"]))
        for run in filled.shown["runs"]
        for one in run["points"]
    }
    assert {(*point[:4], plain(point[4])) for point in read} == shown
    assert len(read) == len(shown) == sum(run.points or 0 for run in runs)
    assert list(dict.fromkeys(point[0] for point in read)) == [run.id for run in runs if run.points]
    assert page > 3 or max(map(len, pages)) <= page


@pytest.mark.clients
def test_registered_models(filled: Filled, source: MlflowDatabase) -> None:
    shown = by("name", filled.shown["models"])
    read = {one.name: one for one in source.models()}
    prompts = {name for name, one in read.items() if "mlflow.prompt.is_prompt" in one.tags}
    assert read.keys() - prompts == shown.keys()
    assert prompts == (set() if "1.28" in str(filled.path) else {"greet"})
    for name in shown:
        model = read[name]
        assert (model.created_ms, model.updated_ms, model.description, model.tags) == (
            shown[name]["creation_timestamp"],
            shown[name]["last_updated_timestamp"],
            shown[name]["description"],
            shown[name]["tags"],
        )
        assert model.aliases == {key: int(number) for key, number in shown[name].get("aliases", {}).items()}
    assert read["wine"].last_number == 5
    assert read["empty"].last_number is None


@pytest.mark.clients
def test_versions(filled: Filled, source: MlflowDatabase) -> None:
    shown = {(one["name"], int(one["version"])): one for one in filled.shown["versions"]}
    read = {(one.model, one.number): one for model in source.models() for one in source.versions(model)}
    prompts = {key for key in read if key[0] == "greet"}
    assert read.keys() - prompts == shown.keys()
    assert [number for name, number in read if name == "wine"] == [1, 3, 4]
    for key, theirs in shown.items():
        version = read[key]
        assert (version.created_ms, version.updated_ms, version.source, version.run_id, version.stage) == (
            theirs["creation_timestamp"],
            theirs["last_updated_timestamp"],
            theirs["source"],
            theirs["run_id"],
            theirs["current_stage"],
        )
        assert (version.description, version.tags, version.status) == (
            theirs["description"],
            theirs["tags"],
            theirs["status"],
        )
    assert [read[key].tags["mlflow.prompt.text"] for key in sorted(prompts)] == [
        "Say {{what}}.", "Please say {{what}}.",
    ][: len(prompts)]  # fmt: skip


@pytest.mark.clients
def test_files(filled: Filled, source: MlflowDatabase) -> None:
    (run,) = (run for run in all_runs(source).values() if run.name == "fit")
    contents = {}
    for file in source.files(run):
        with source.open(file) as stream:
            contents[file.path] = stream.read()
    assert contents == {"model/MLmodel": b"model", "notes/read me.txt": b"hello"}
    for model in source.models():
        for version in source.versions(model):
            expected = [] if model.name == "greet" else ["MLmodel"]
            assert [one.path for one in source.files(version)] == expected
    logged = [one for experiment in source.experiments() for one in source.logged_models(experiment)]
    assert [[one.path for one in source.files(model)] for model in logged if model.status == "READY"] in (
        [],
        [["MLmodel"]],
    )


@pytest.mark.clients
def test_logged_models(filled: Filled, source: MlflowDatabase) -> None:
    read = {one.id: one for experiment in source.experiments() for one in source.logged_models(experiment)}
    shown = by("model_id", filled.shown.get("logged_models", []))
    assert {one.id for one in read.values() if not one.deleted} == shown.keys()
    assert len(read) == 2 * len(shown)
    for model_id, theirs in shown.items():
        model = read[model_id]
        assert (model.name, model.model_type, model.source_run_id, model.artifact_uri, model.created_ms) == (
            theirs["name"],
            theirs["model_type"],
            theirs["source_run_id"],
            theirs["artifact_location"],
            theirs["creation_timestamp"],
        )
        assert (model.status, model.tags, model.params) == (theirs["status"], theirs["tags"], theirs["params"])
        assert [
            (one.key, one.value, one.timestamp_ms, one.step, one.run_id, one.dataset_name, one.dataset_digest)
            for one in model.metrics
        ] == [
            tuple(one[key] for key in ("key", "value", "timestamp", "step", "run_id", "dataset_name", "dataset_digest"))
            for one in theirs["metrics"]
        ]


@pytest.mark.clients
def test_traces(filled: Filled, source: MlflowDatabase) -> None:
    read = {one.id: one for experiment in source.experiments() for one in source.traces(experiment)}
    shown = {one.get("trace_id") or one["request_id"]: one for one in filled.shown.get("traces", [])}
    assert read.keys() == shown.keys()
    assert len(read) == {"mlflow-1.28": 0, "mlflow-2": 3, "mlflow-3": 2}[filled.generation]
    for trace_id, theirs in shown.items():
        if "request_id" in theirs:
            _check_trace_of_2(read[trace_id], theirs)
        else:
            _check_trace_of_3(read[trace_id], theirs)


def _check_trace_of_2(trace: TraceRecord, theirs: dict[str, Any]) -> None:
    assert (trace.state, trace.started_ms, trace.duration_ms, trace.tags, trace.metadata) == (
        theirs["status"],
        theirs["timestamp_ms"],
        theirs["execution_time_ms"],
        theirs["tags"],
        theirs["request_metadata"],
    )
    assert trace.request_preview == '{"q": "why?"}'


def _check_trace_of_3(trace: TraceRecord, theirs: dict[str, Any]) -> None:
    assert (trace.state, trace.duration_ms, trace.request_preview, trace.response_preview) == (
        theirs["state"],
        theirs["execution_duration_ms"],
        theirs["request_preview"],
        theirs["response_preview"],
    )
    assert trace.started_ms == _ms(theirs["request_time"])
    assert (trace.tags, trace.metadata) == (theirs["tags"], theirs["trace_metadata"])
    assert {one.id: one.valid for one in trace.assessments} == {
        one["assessment_id"]: one["valid"] for one in theirs.get("assessments", [])
    }
    for mine, one in zip(trace.assessments, theirs.get("assessments", []), strict=True):
        assert (mine.name, mine.value) == (one["assessment_name"], one[mine.kind]["value"])
        assert (mine.source_type, mine.source_id) == (one["source"]["source_type"], one["source"]["source_id"])
        assert (mine.created_ms, mine.updated_ms) == (_ms(one["create_time"]), _ms(one["last_update_time"]))
        assert (mine.rationale, mine.overrides, mine.metadata) == (
            one.get("rationale"),
            one.get("overrides"),
            one.get("metadata", {}),
        )


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.clients
def test_spans(filled: Filled, source: MlflowDatabase) -> None:
    traces = [one for experiment in source.experiments() for one in source.traces(experiment)]
    contents = [json.loads(content) for one in traces if (content := source.spans(one))]
    if filled.generation == "mlflow-2":
        assert contents == [{"spans": [], "request": '{"q": "why?"}', "response": '"WHY?"'}] * 2
    else:
        assert [[span["name"] for span in one["spans"]] for one in contents] == [["ask", "inner"]] * len(traces)


@pytest.mark.clients
def test_evaluations(filled: Filled, source: MlflowDatabase) -> None:
    scorers = [one for experiment in source.experiments() for one in source.scorers(experiment)]
    assert [(one.id, one.name, one.version, one.serialized, one.created_ms) for one in scorers] == [
        tuple(
            one[f"_{key}"]
            for key in ("scorer_id", "scorer_name", "scorer_version", "serialized_scorer", "creation_time")
        )
        for one in filled.shown.get("scorers", [])
    ]
    datasets = list(source.evaluation_datasets())
    linked = [one.run_ids for experiment in source.experiments() for one in source.traces(experiment) if one.run_ids]
    if filled.generation != "mlflow-3":
        assert (datasets, linked) == ([], [])
        return
    (dataset,), theirs = datasets, filled.shown["dataset"]
    for key in ("name", "digest", "tags", "schema", "profile"):
        assert getattr(dataset, key) == theirs[key]
    assert (dataset.id, list(dataset.experiment_ids)) == (theirs["dataset_id"], theirs["experiment_ids"])
    rows = list(source.evaluation_rows(dataset))
    assert [(one.id, one.inputs, one.outputs, one.expectations, one.tags, one.created_ms) for one in rows] == [
        tuple(
            one.get(key) for key in ("dataset_record_id", "inputs", "outputs", "expectations", "tags", "created_time")
        )
        for one in sorted(filled.shown["rows"], key=lambda one: str(one["dataset_record_id"]))
    ]
    assert len(linked) == 1


@pytest.mark.clients
def test_totals(filled: Filled, source: MlflowDatabase) -> None:
    assert source.describe().startswith(f"MLflow database, schema {GENERATIONS[filled.generation]} (MLflow ")
    assert source.totals().of == counted(source).of


def counted(source: MlflowDatabase) -> Counts:
    """Count what is read, as the totals do."""
    found = Counts()
    for experiment in source.experiments():
        found.add(Entity.EXPERIMENT)
        runs = list(source.runs(experiment))
        for run in runs:
            found.add(Entity.DELETED_RUN if run.deleted else Entity.RUN)
            found.add(Entity.PARAM, len(run.params))
            found.add(Entity.TAG, len(run.tags))
            found.add(Entity.DATASET, len(run.datasets))
        found.add(Entity.POINT, sum(map(len, source.points(runs))))
        for model in source.logged_models(experiment):
            found.add(Entity.LOGGED_MODEL)
            found.add(Entity.MODEL_METRIC, len(model.metrics))
        for trace in source.traces(experiment):
            found.add(Entity.TRACE)
            found.add(Entity.ASSESSMENT, len(trace.assessments))
        found.add(Entity.SCORER, len(list(source.scorers(experiment))))
    for dataset in source.evaluation_datasets():
        found.add(Entity.EVALUATION_DATASET)
        found.add(Entity.EVALUATION_ROW, len(list(source.evaluation_rows(dataset))))
    for registered in source.models():
        found.add(Entity.PROMPT if "mlflow.prompt.is_prompt" in registered.tags else Entity.MODEL)
        found.add(Entity.ALIAS, len(registered.aliases))
        found.add(Entity.VERSION, len(list(source.versions(registered))))
    return found
