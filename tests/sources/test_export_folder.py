"""Folders that mlflow-export-import has written, in the shapes of its releases and commands, and broken ones."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Entity, FileRecord, Findings, Loss, Point, RunRecord, VersionRecord
from mltrail_server.sources.export_folder import ExportFolder, names

RUN, OTHER = "a" * 32, "b" * 32
START = 1_700_000_000_000


def info_of(run_id: str, **more: Any) -> dict[str, Any]:
    info = {
        "run_uuid": run_id,
        "run_id": run_id,
        "experiment_id": "7",
        "user_id": "ada",
        "status": "FAILED",
        "start_time": START,
        "_start_time": "2023-11-14 22:13:20",
        "end_time": None,
        "lifecycle_stage": "active",
        "run_name": "fit",
        "artifact_uri": f"/old/7/{run_id}/artifacts",
    }
    return info | more


def run_of(run_id: str = RUN) -> dict[str, Any]:
    points = [{"value": value, "timestamp": START, "step": step} for step, value in enumerate([0.5, math.nan])]
    return {
        "info": info_of(run_id),
        "params": {"lr": "0.1", "empty": ""},
        "metrics": {"loss": points, "auc": [{"value": 1, "timestamp": START, "step": -3}]},
        "tags": {"mlflow.note.content": "# Hi\nthere", "\N{SNOWMAN}": "snow"},
        "inputs": [{"dataset": {"name": "wine.csv", "digest": "d"}, "tags": [{"key": "context", "value": "train"}]}],
    }


def experiment_of(*run_ids: str, total: int | None = None) -> dict[str, Any]:
    count = len(run_ids) if total is None else total
    shown = {"experiment_id": "7", "name": "wine / größe", "lifecycle_stage": "active", "creation_time": START}
    return {
        "system": {"package_version": "1.2.0"},
        "info": {"num_total_runs": count, "num_ok_runs": len(run_ids), "failed_runs": []},
        "mlflow": {"experiment": shown | {"tags": {"team": "red"}}, "runs": list(run_ids)},
    }


def model_of(**more: Any) -> dict[str, Any]:
    versions = [
        {
            "version": number,
            "name": "wine",
            "run_id": RUN,
            "source": f"mlflow-artifacts:/7/{RUN}/artifacts/model",
            "current_stage": "Production",
            "tags": {"n": number},
            "creation_timestamp": START,
            "description": "",
            "_experiment_name": "wine / größe",
        }
        for number in ("3", "1")
    ]
    registered = {
        "name": "wine",
        "creation_timestamp": str(START),
        "tags": [{"key": "of", "value": "life"}],
        "aliases": [{"alias": "champion", "version": "3"}, {"alias": "gone", "version": "9"}],
        "versions": versions,
    }
    return {"info": {"failed_versions": []}, "mlflow": {"registered_model": registered | more}}


class Folder:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.findings = Findings()

    def write(self, path: str, content: Any) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))

    def source(self) -> ExportFolder:
        return ExportFolder(self.root, self.findings)

    def runs(self, source: ExportFolder) -> list[RunRecord]:
        return [run for one in source.experiments() for run in source.runs(one)]

    def lines(self, loss: Loss = Loss.MISSING) -> list[str]:
        return [one.line() for one in self.findings.kept if one.loss is loss]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def points(source: ExportFolder, run: RunRecord) -> list[Point]:
    return [point for page in source.points([run]) for point in page]


def versions(source: ExportFolder) -> list[VersionRecord]:
    return [version for model in source.models() for version in source.versions(model)]


@pytest.mark.parametrize("place", [f"experiments/7/{RUN}", f"experiments/7/runs/{RUN}"])
def test_what_export_all_has_written_is_read(folder: Folder, place: str) -> None:
    folder.write("manifest.json", {})
    folder.write("experiments/7/experiment.json", experiment_of(RUN))
    folder.write(f"{place}/run.json", {"system": {}, "mlflow": run_of()})
    folder.write(f"{place}/artifacts/model/MLmodel", "flavors: {}")
    folder.write("models/wine/model.json", model_of())
    source = folder.source()
    assert source.describe() == "export of mlflow-export-import"
    assert "does not export deleted runs" in folder.lines(Loss.NOTE)[0]
    [experiment] = source.experiments()
    assert (experiment.id, experiment.name, experiment.tags) == ("7", "wine / größe", {"team": "red"})
    [run] = source.runs(experiment)
    assert (run.id, run.name, run.user, run.status) == (RUN, "fit", "ada", "FAILED")
    assert (run.started_ms, run.ended_ms, run.points) == (START, None, 3)
    assert run.params == {"lr": "0.1", "empty": ""}
    assert run.tags == {"mlflow.note.content": "# Hi\nthere", "\N{SNOWMAN}": "snow"}
    assert [(data.name, data.tags) for data in run.datasets] == [("wine.csv", {"context": "train"})]
    assert repr(points(source, run)) == repr(
        [(RUN, "loss", 0, START, 0.5), (RUN, "loss", 1, START, math.nan), (RUN, "auc", -3, START, 1.0)]
    )
    assert [file.path for file in source.files(run)] == ["model/MLmodel"]
    [model] = source.models()
    assert (model.aliases, model.tags, model.created_ms) == ({"champion": 3}, {"of": "life"}, START)
    found = list(source.versions(model))
    assert [(one.number, one.stage, one.tags) for one in found] == [
        (1, "Production", {"n": "1"}),
        (3, "Production", {"n": "3"}),
    ]
    [file] = source.files(found[0])
    with source.open(file) as stream:
        assert (file.path, stream.read()) == ("MLmodel", b"flavors: {}")
    assert folder.lines() == []
    totals = source.totals()
    assert (totals[Entity.EXPERIMENT], totals[Entity.RUN], totals[Entity.MODEL]) == (1, 1, 1)


def test_what_was_written_before_1_2_is_read(folder: Folder) -> None:
    folder.write("experiments/7/experiment.json", {"export_info": {"ok_runs": [RUN]}, "experiment": {"name": "old"}})
    old = run_of()
    del old["info"]["run_id"], old["info"]["start_time"], old["inputs"]
    folder.write(f"experiments/7/{RUN}/run.json", {"export_info": {}, **old})
    latest = model_of()["mlflow"]["registered_model"]
    latest["latest_versions"] = latest.pop("versions")
    folder.write("models/wine/model.json", {"registered_model": latest})
    source = folder.source()
    [experiment] = source.experiments()
    assert (experiment.id, experiment.name) == ("7", "old")
    [run] = source.runs(experiment)
    assert (run.id, run.started_ms, len(points(source, run))) == (RUN, START, 3)
    assert [one.number for one in versions(source)] == [1, 3]
    assert folder.lines() == []


def test_what_export_experiment_has_written_is_read(folder: Folder) -> None:
    folder.write("experiment.json", experiment_of(RUN))
    folder.write(f"{RUN}/run.json", {"mlflow": run_of()})
    assert [run.id for run in folder.runs(folder.source())] == [RUN]


def test_what_export_model_has_written_is_read_with_its_runs(folder: Folder) -> None:
    folder.write("model.json", model_of())
    folder.write(f"{RUN}/run.json", {"mlflow": run_of()})
    folder.write(f"{RUN}/artifacts/model/MLmodel", "flavors: {}")
    source = folder.source()
    source.describe()
    [experiment] = source.experiments()
    assert (experiment.id, experiment.name) == ("7", "wine / größe")
    assert [run.id for run in source.runs(experiment)] == [RUN]
    assert [file.path for file in source.files(versions(source)[0])] == ["MLmodel"]


def test_what_export_run_has_written_is_read(folder: Folder) -> None:
    folder.write("run.json", {"mlflow": run_of()})
    source = folder.source()
    source.describe()
    assert [(run.id, run.experiment_id) for run in folder.runs(source)] == [(RUN, "7")]


def test_runs_that_the_tool_has_not_exported_are_listed(folder: Folder) -> None:
    said = experiment_of(RUN, OTHER, total=379)
    said["info"]["failed_runs"] = ["c" * 32]
    folder.write("experiments/7/experiment.json", said)
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": run_of()})
    assert [run.id for run in folder.runs(folder.source())] == [RUN]
    assert len(folder.lines()) == 3
    assert folder.findings.lost == 378


CUT = json.dumps({"mlflow": run_of(OTHER)}, indent=2)


@pytest.mark.parametrize("content", ["", "[]", "{", CUT[:300], '{"a" 1}', "{1: 2}", '{"a": ' + "[" * 50_000])
def test_a_broken_run_is_listed_and_the_others_are_read(folder: Folder, content: str) -> None:
    folder.write("experiments/7/experiment.json", experiment_of(RUN, OTHER))
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": run_of()})
    folder.write(f"experiments/7/{OTHER}/run.json", content)
    assert [run.id for run in folder.runs(folder.source())] == [RUN]
    [line] = folder.lines()
    assert line.startswith(f"missing: run {OTHER}: its run.json can't be read")


def test_a_history_that_breaks_off_is_listed_and_its_beginning_is_kept(folder: Folder) -> None:
    folder.write("experiments/7/experiment.json", experiment_of(RUN))
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": run_of()})
    source = folder.source()
    [run] = folder.runs(source)
    whole = (folder.root / f"experiments/7/{RUN}/run.json").read_text()
    folder.write(f"experiments/7/{RUN}/run.json", whole[: whole.index('"auc"')])
    assert len(points(source, run)) == 2
    assert "its metrics can only be read in part" in folder.lines()[0]


def test_a_long_history_is_read_in_pages(folder: Folder) -> None:
    long = run_of()
    long["metrics"] = {"loss": [{"value": step / 3, "timestamp": START, "step": step} for step in range(12_000)]}
    folder.write("experiments/7/experiment.json", experiment_of(RUN))
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": long})
    source = folder.source()
    [run] = folder.runs(source)
    pages = list(source.points([run]))
    assert [len(page) for page in pages] == [5_000, 5_000, 2_000]
    assert pages[2][-1] == (RUN, "loss", 11_999, START, 11_999 / 3)


def test_folders_of_unreleased_states_are_listed(folder: Folder) -> None:
    folder.write("experiments/7/experiment.json", experiment_of())
    folder.write("logged_models/logged_models.json", {})
    list(folder.source().experiments())
    assert "its folder logged_models" in folder.lines()[0]


def test_symbolic_links_and_paths_that_lead_out_are_not_read(folder: Folder, tmp_path: Path) -> None:
    (tmp_path.parent / "secret").write_text("s")
    folder.write("experiments/7/experiment.json", experiment_of(RUN))
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": run_of()})
    folder.write(f"experiments/7/{RUN}/artifacts/own", "own")
    (tmp_path / f"experiments/7/{RUN}/artifacts/secret").symlink_to(tmp_path.parent / "secret")
    source = folder.source()
    [run] = folder.runs(source)
    assert [file.path for file in source.files(run)] == ["own"]
    assert len(folder.lines(Loss.REFUSED)) == 1
    with pytest.raises(MltrailError):
        source.open(FileRecord("x", f"file://{tmp_path}/../secret"))
    hostile = {"record": None, "files": [{"path": "../../../../secret", "size": 1, "sha256": "", "shared": False}]}
    folder.write(f"experiments/7/{RUN}/{names.RECORD}", hostile)
    [file] = source.files(run)
    with pytest.raises(MltrailError):
        source.open(file)


@pytest.mark.parametrize("record", [None, [], {"id": 1}, {"id": "x", "experiment_id": "7", "params": []}])
def test_a_record_of_ours_that_was_changed_is_listed(folder: Folder, record: Any) -> None:
    folder.write("experiments/7/experiment.json", experiment_of(RUN))
    folder.write(f"experiments/7/{RUN}/run.json", {"mlflow": run_of()})
    folder.write(f"experiments/7/{RUN}/{names.RECORD}", {"record": record, "files": []})
    assert [run.id for run in folder.runs(folder.source())] == [RUN]  # what the tool's file says
    assert "is not in mltrail's format" in folder.lines()[0]


def test_a_folder_without_an_export_is_refused(folder: Folder) -> None:
    folder.write("notes.txt", "hello")
    with pytest.raises(MltrailError, match="no experiments, models or runs"):
        folder.source().describe()
    with pytest.raises(MltrailError, match="no folder"):
        ExportFolder(folder.root / "none", Findings()).describe()
