"""`./mlruns` folders: as real clients of three generations write them, and broken ones."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import (
    DatasetRecord,
    Entity,
    ExperimentRecord,
    FileRecord,
    Findings,
    Loss,
    ModelLink,
    Point,
    RunRecord,
)
from mltrail_server.sources.artifacts import Access
from mltrail_server.sources.mlruns_folder import MlrunsFolder
from tests.clients.environments import ENVIRONMENTS
from tests.processes import PATIENCE_SECONDS

PROGRAM = Path(__file__).parent / "fill_file_store.py"
GENERATIONS = ["mlflow-1.28", "mlflow-2", "mlflow-3"]
START = 1_700_000_000_000


class Filled:
    """A folder that a client has filled, and what our reader makes of it."""

    def __init__(self, folder: Path, ids: dict[str, str]) -> None:
        self.ids = ids
        self.findings = Findings()
        self.source = MlrunsFolder(folder, self.findings)
        self.experiments = {one.id: one for one in self.source.experiments()}
        self.runs = {run.id: run for one in self.experiments.values() for run in self.source.runs(one)}
        self.run = self.runs[ids["run"]]

    def paths(self, owner: Any) -> list[str]:
        return [file.path for file in self.source.files(owner)]


@pytest.fixture(scope="module")
def all_filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Filled]:
    processes = {}
    environment = os.environ | {"MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"}
    for name in GENERATIONS:
        folder = tmp_path_factory.mktemp(name)
        command = [str(ENVIRONMENTS / name / "bin/python"), str(PROGRAM), str(folder / "mlruns")]
        pipe = subprocess.PIPE
        environment |= {"HOME": str(folder)}
        processes[folder] = subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=folder, env=environment, text=True)
    filled = {}
    for name, (folder, process) in zip(GENERATIONS, processes.items(), strict=True):
        out, error = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, error[-2000:]
        filled[name] = Filled((folder / "mlruns").rename(folder / "moved"), json.loads(out))
    return filled


@pytest.fixture(params=GENERATIONS)
def filled(request: pytest.FixtureRequest, all_filled: dict[str, Filled]) -> Filled:
    return all_filled[request.param]


@pytest.fixture
def newest(all_filled: dict[str, Filled]) -> Filled:
    return all_filled["mlflow-3"]


def _points(source: MlrunsFolder, *runs: RunRecord) -> list[Point]:
    return [point for page in source.points(runs) for point in page]


@pytest.mark.clients
def test_experiments_of_each_generation_are_read_with_their_tags_and_the_deleted_ones(filled: Filled) -> None:
    first, gone = filled.experiments[filled.ids["experiment"]], filled.experiments[filled.ids["deleted"]]
    assert (first.name, first.deleted, first.tags) == ("wine / größe", False, {"team": "red\nwhite"})
    assert (gone.name, gone.deleted) == ("gone", True)
    assert "0" in filled.experiments
    assert "3 experiments" in filled.source.describe()


@pytest.mark.clients
def test_a_run_of_each_generation_keeps_its_id_times_user_state_params_and_tags(filled: Filled) -> None:
    run = filled.run
    assert (run.name, run.user, run.status) == ("fit", "ada", "FAILED")
    assert (run.started_ms, run.ended_ms, run.deleted) == (START, START + 100_000, False)
    assert run.params == {"lr": "0.1", "opt/name": "ådam", "empty": ""}
    assert run.tags["note/of"] == "line one\nline two\n"
    assert run.tags["mlflow.note.content"] == "# Hello"


@pytest.mark.clients
def test_histories_of_each_generation_are_complete_with_steps_and_what_is_not_finite(filled: Filled) -> None:
    points = _points(filled.source, filled.run)
    assert len(points) == filled.run.points
    losses = [point[2:] for point in points if point[1] == "loss"]
    assert losses[:5] == [(step, START + step, 1 / (step + 1)) for step in range(5)]
    assert losses[5][:2] == (2, START + 9)
    assert math.isnan(losses[5][2])
    assert (filled.run.id, "val/auc", 0, START + 1, math.inf) in points
    assert (filled.run.id, "val/low", -3, START + 1, -math.inf) in points


@pytest.mark.clients
def test_files_of_each_generation_are_found_in_a_folder_that_was_moved(filled: Filled) -> None:
    files = {file.path: file for file in filled.source.files(filled.run)}
    assert sorted(files) == ["model/MLmodel", "notes/readme.txt"]
    with filled.source.open(files["notes/readme.txt"]) as stream:
        assert stream.read() == b"hello"


@pytest.mark.clients
def test_deleted_runs_of_each_generation_are_read_and_nothing_is_lost(filled: Filled) -> None:
    child = filled.runs[filled.ids["child"]]
    assert child.deleted
    assert child.deleted_ms is not None
    assert child.tags["mlflow.parentRunId"] == filled.run.id
    assert any(run.experiment_id == filled.ids["deleted"] for run in filled.runs.values())
    assert filled.findings.kept == []
    totals = filled.source.totals()
    assert (totals[Entity.EXPERIMENT], totals[Entity.RUN]) == (3, 3)


@pytest.mark.clients
@pytest.mark.parametrize("generation", GENERATIONS[1:])
def test_models_keep_their_numbers_with_gaps_aliases_and_stages(generation: str, all_filled: dict[str, Filled]) -> None:
    filled = all_filled[generation]
    [model] = filled.source.models()
    assert (model.name, model.description, model.tags) == ("wine", "A model", {"stage/of": "life"})
    assert (model.aliases, model.last_number) == ({"champion": 3}, 4)
    versions = list(filled.source.versions(model))
    assert [one.number for one in versions] == [1, 3]
    assert versions[1].stage == ("Production" if generation == "mlflow-2" else "None")
    assert (versions[1].run_id, versions[1].tags, versions[1].description) == (filled.run.id, {"n": "3"}, "no. 3")
    assert filled.paths(versions[1]) == ["MLmodel"]


@pytest.mark.clients
@pytest.mark.parametrize("generation", GENERATIONS[1:])
def test_datasets_are_read(generation: str, all_filled: dict[str, Filled]) -> None:
    said = DatasetRecord(
        "wine.csv", "abc123", "local", '{"uri": "wine.csv"}', '{"a": 1}', None, {"mlflow.data.context": "train"}
    )
    assert all_filled[generation].run.datasets == (said,)


@pytest.mark.clients
def test_a_logged_model_is_read_with_its_metrics_links_and_files(newest: Filled) -> None:
    [model] = newest.source.logged_models(newest.experiments[newest.ids["experiment"]])
    assert (model.name, model.model_type, model.status) == ("tree", "sklearn", "READY")
    assert (model.source_run_id, model.tags, model.params) == (newest.run.id, {"a/b": "c"}, {"depth": "3"})
    said = [(one.run_id, one.step, one.value, one.dataset_name, one.dataset_digest) for one in model.metrics]
    assert said == [(newest.run.id, step, step / 4, "wine.csv", "abc123") for step in (1, 2)]
    accuracies = [point[2:] for point in _points(newest.source, newest.run) if point[1] == "acc"]
    assert accuracies == [(1, START, 0.25), (2, START, 0.5)]  # steps that FileStore itself reads as 0
    assert newest.run.model_outputs == (ModelLink(model.id, 7),)
    assert newest.run.model_inputs == (ModelLink(model.id),)
    assert newest.paths(model) == ["MLmodel"]


@pytest.mark.clients
def test_a_trace_is_read_with_its_spans_and_assessments(newest: Filled) -> None:
    [trace] = newest.source.traces(newest.experiments[newest.ids["experiment"]])
    assert (trace.state, trace.tags["topic"], trace.response_preview) == ("OK", "wine", '"WHY?"')
    assert trace.started_ms > START
    said = {one.name: (one.kind, one.value, one.source_type, one.source_id) for one in trace.assessments}
    assert said == {
        "good": ("feedback", True, "HUMAN", "ada"),
        "answer": ("expectation", "WHY?", "HUMAN", "ada"),
    }
    spans = json.loads(newest.source.spans(trace) or b"")
    assert [span["name"] for span in spans["spans"]] == ["ask"]


RUN, OTHER = "a" * 32, "b" * 32


class Folder:
    """A folder by hand: one experiment with one good run, and what a test adds."""

    def __init__(self, root: Path) -> None:
        self.root = root / "mlruns"
        self.write("7/meta.yaml", "experiment_id: '7'\nname: first\nlifecycle_stage: active\n")
        self.write(f"7/{RUN}/meta.yaml", f"run_id: {RUN}\nexperiment_id: '7'\nstatus: 3\nstart_time: 5\nuser_id: ada\n")
        self.write(f"7/{RUN}/params/lr", "1")
        self.findings = Findings()

    def write(self, path: str, content: str | bytes = "") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    def source(self, access: Access | None = None) -> MlrunsFolder:
        return MlrunsFolder(self.root, self.findings, access)

    def runs(self) -> dict[str, RunRecord]:
        source = self.source()
        return {run.id: run for one in source.experiments() for run in source.runs(one)}

    def lines(self, loss: Loss) -> list[str]:
        return [one.line() for one in self.findings.kept if one.loss is loss]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_an_experiment_with_an_empty_meta_file_keeps_its_runs(folder: Folder) -> None:
    folder.write("7/meta.yaml")
    [experiment] = folder.source().experiments()
    assert (experiment.id, experiment.name) == ("7", "experiment 7")
    assert folder.lines(Loss.MISSING) == ["missing: experiment 7: 7/meta.yaml is empty"]
    assert [run.id for run in folder.source().runs(experiment)] == [RUN]


@pytest.mark.parametrize("content", [b"", b"status: [3", b"- 3\n", b"a: !!python/object/apply:os.getcwd []"])
def test_a_run_with_a_broken_meta_file_keeps_what_else_there_is(folder: Folder, content: bytes) -> None:
    folder.write(f"7/{OTHER}/meta.yaml", content)
    folder.write(f"7/{OTHER}/params/lr", "2")
    runs = folder.runs()
    assert (runs[OTHER].status, runs[OTHER].params, runs[OTHER].started_ms) == ("FAILED", {"lr": "2"}, None)
    assert runs[RUN].params == {"lr": "1"}
    assert len(folder.lines(Loss.MISSING)) == 1
    assert len(folder.lines(Loss.CHANGED)) == 1


def test_a_run_without_its_folders_is_a_run_without_params(folder: Folder) -> None:
    folder.write(f"7/{OTHER}/meta.yaml", f"run_id: {OTHER}\nexperiment_id: 7\n")
    run = folder.runs()[OTHER]
    assert (run.params, run.tags, run.points, run.status) == ({}, {}, 0, "RUNNING")
    assert folder.findings.kept == []


def test_a_traces_files_are_its_attachments(folder: Folder) -> None:
    folder.write("7/traces/tr-1/trace_info.yaml", "trace_id: tr-1\nrequest_time: 2023-11-14T22:13:20Z\nstate: OK\n")
    folder.write("7/traces/tr-1/artifacts/traces.json", '{"spans": []}')
    folder.write("7/traces/tr-1/artifacts/attachments/0b0e7a0e", b"picture")
    source = folder.source()
    [trace] = [trace for one in source.experiments() for trace in source.traces(one)]
    assert source.spans(trace) == b'{"spans": []}'
    assert [file.path for file in source.files(trace)] == ["attachments/0b0e7a0e"]
    assert folder.findings.kept == []


@pytest.mark.parametrize("meta", ["run_id: other\n", "experiment_id: '8'\n"])
def test_a_run_that_mlflow_ignores_is_listed(folder: Folder, meta: str) -> None:
    folder.write(f"7/{OTHER}/meta.yaml", meta)
    assert list(folder.runs()) == [RUN]
    [line] = folder.lines(Loss.REFUSED)
    assert "MLflow ignores it" in line


def test_broken_lines_of_metrics_are_counted_and_the_others_are_kept(folder: Folder) -> None:
    lines = ["1 0.5 0", "2 0.25", "x 1 2", "3 nan 1", "", "4 0.125 2 my data d1", "9" * 10_000, "5 0.0625 3", "6 0.1"]
    folder.write(f"7/{RUN}/metrics/val/loss", "\n".join(lines))
    run = folder.runs()[RUN]
    assert [point[2:4] for point in _points(folder.source(), run)] == [(0, 1), (1, 3), (2, 4), (3, 5)]
    [line] = folder.lines(Loss.MISSING)
    assert "4 lines can't be read, the first is line 2" in line
    assert folder.findings.lost == 4


def test_the_last_line_without_an_end_is_kept_and_listed(folder: Folder) -> None:
    folder.write(f"7/{RUN}/metrics/loss", "1 0.5 0\n2 0.25 1")
    assert len(_points(folder.source(), folder.runs()[RUN])) == 2
    assert "may be cut off" in folder.lines(Loss.CHANGED)[0]


def test_lines_of_before_mlflow_1_have_no_step(folder: Folder) -> None:
    folder.write(f"7/{RUN}/metrics/loss", "1 0.5\n2 0.25\n")
    assert [point[2:] for point in _points(folder.source(), folder.runs()[RUN])] == [(0, 1, 0.5), (0, 2, 0.25)]
    assert folder.findings.kept == []


def test_a_value_in_another_encoding_is_read_and_listed(folder: Folder) -> None:
    folder.write(f"7/{RUN}/tags/who", "Jürgen".encode("latin-1"))
    assert folder.runs()[RUN].tags == {"who": "Jürgen"}
    assert "is not UTF-8" in folder.lines(Loss.CHANGED)[0]


def test_the_rest_of_a_run_is_read_if_a_file_cannot_be_read(folder: Folder) -> None:
    meta = folder.root / f"7/{RUN}/meta.yaml"
    meta.unlink()
    meta.mkdir()  # unreadable for everybody, root included
    assert folder.runs()[RUN].params == {"lr": "1"}
    assert len(folder.lines(Loss.MISSING)) == 1


def test_symbolic_links_out_of_the_folder_are_not_followed(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (folder.root / f"7/{RUN}/params/secret").symlink_to(tmp_path / "secret")
    (folder.root / f"7/{RUN}/params/loop").symlink_to(folder.root / "7")
    folder.write(f"7/{RUN}/artifacts/own", "own")
    (folder.root / f"7/{RUN}/artifacts/secret").symlink_to(tmp_path / "secret")
    run = folder.runs()[RUN]
    assert run.params == {"lr": "1"}
    assert [file.path for file in folder.source().files(run)] == ["own"]
    assert len(folder.lines(Loss.REFUSED)) == 3


def test_a_recorded_folder_elsewhere_is_read_only_if_the_operator_names_it(folder: Folder, tmp_path: Path) -> None:
    meta = folder.root / f"7/{RUN}/meta.yaml"
    meta.write_text(meta.read_text() + f"artifact_uri: file://{tmp_path}/disk/{RUN}/artifacts\n")
    (tmp_path / f"disk/{RUN}/artifacts").mkdir(parents=True)
    (tmp_path / f"disk/{RUN}/artifacts/far").write_text("x")
    run = folder.runs()[RUN]
    assert list(folder.source().files(run)) == []
    assert "--artifacts" in folder.lines(Loss.MISSING)[0]
    allowed = folder.source(Access(places=[str(tmp_path / "disk")]))
    assert [file.path for file in allowed.files(run)] == ["far"]


def test_files_that_a_server_proxied_are_found_beside_the_folder(folder: Folder, tmp_path: Path) -> None:
    meta = folder.root / f"7/{RUN}/meta.yaml"
    meta.write_text(meta.read_text() + f"artifact_uri: mlflow-artifacts:/7/{RUN}/artifacts\n")
    (tmp_path / f"mlartifacts/7/{RUN}/artifacts").mkdir(parents=True)
    (tmp_path / f"mlartifacts/7/{RUN}/artifacts/far").write_text("x")
    [file] = folder.source().files(folder.runs()[RUN])
    with folder.source().open(file) as stream:
        assert stream.read() == b"x"


def test_a_path_that_leads_upwards_is_not_opened(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    with pytest.raises(MltrailError):
        folder.source().open(FileRecord("x", f"file://{folder.root}/../secret"))


def test_a_trace_of_mlflow_2_is_read(folder: Folder) -> None:
    folder.write(
        "7/traces/tr-1/trace_info.yaml", "request_id: tr-1\ntimestamp_ms: 9\nexecution_time_ms: 3\nstatus: OK\n"
    )
    folder.write("7/traces/tr-1/request_metadata/mlflow.sourceRun", RUN)
    folder.write("7/traces/tr-2/trace_info.yaml", "state: OK\n")
    [trace] = folder.source().traces(ExperimentRecord("7", "first"))
    assert (trace.id, trace.started_ms, trace.duration_ms, trace.state) == ("tr-1", 9, 3, "OK")
    assert trace.metadata == {"mlflow.sourceRun": RUN}
    assert "tr-2" in folder.lines(Loss.MISSING)[0]


def test_an_alias_to_nothing_and_a_version_without_meta_file_are_listed(folder: Folder) -> None:
    folder.write("models/wine/meta.yaml", "name: wine\n")
    folder.write("models/wine/aliases/champion", "9")
    folder.write("models/wine/version-1/tags/a", "b")
    source = folder.source()
    [model] = source.models()
    assert (model.aliases, model.last_number) == ({}, 1)
    assert list(source.versions(model)) == []
    assert len(folder.lines(Loss.MISSING)) == 2


def test_a_folder_of_files_only_says_where_the_rest_is(tmp_path: Path) -> None:
    (tmp_path / f"0/{RUN}/artifacts").mkdir(parents=True)
    with pytest.raises(MltrailError, match="--from-database"):
        MlrunsFolder(tmp_path, Findings()).describe()
    with pytest.raises(MltrailError, match="no folder"):
        MlrunsFolder(tmp_path / "none", Findings()).describe()
