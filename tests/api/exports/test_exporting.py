"""How `mltrail-server export --format mlflow` names folders, goes on, refuses, and reports."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mltrail_server import cli
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.transfer import Counts, Findings
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.exports import layout
from mltrail_server.settings import Settings
from mltrail_server.sources.export_folder import ExportFolder, names
from mltrail_server.store.files import files
from tests.api.exports.exporting import ONE, TWO, written
from tests.api.exports.history import HOSTILE_MODEL, LONG_FILE, fill
from tests.mlflow_client import Mlflow

BACKENDS = ("sqlite",)
Output = pytest.CaptureFixture[str]


def test_names_that_no_folder_can_have_are_replaced_by_their_digest(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    ids = fill(mlflow)
    written(deps, tmp_path / "out")
    listed = json.loads((tmp_path / "out/models/models.json").read_text())
    assert listed["mlflow"] == {"models": ["wine"]}  # what the official tool can import
    folder = tmp_path / "out/models" / names.folder_name(HOSTILE_MODEL)
    assert folder.name.startswith("~")
    assert json.loads((folder / "model.json").read_text())["mlflow"]["registered_model"]["name"] == HOSTILE_MODEL
    run = json.loads((tmp_path / f"out/experiments/{ids['first']}/{ids['run']}/{names.RECORD}").read_text())
    [shared] = [one for one in run["files"] if one["shared"]]
    assert shared["path"] == LONG_FILE
    assert (tmp_path / "out" / names.FILES / shared["sha256"]).read_bytes() == b"deep"


@pytest.mark.parametrize("name", ["", ".", "..", "~a", "a/b", "a\nb", " a", "a.part", "x" * 201, "\udc80"])
def test_a_hostile_name_is_a_safe_folder(name: str) -> None:
    assert names.folder_name(name).startswith("~")
    assert names.folder_name(name) == names.folder_name(name)
    assert names.folder_name("größe 1.5 (new)") == "größe 1.5 (new)"


def test_the_official_tool_is_shown_only_what_it_can_import(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    ids = fill(mlflow)
    written(deps, tmp_path / "out")
    out = tmp_path / "out"
    shown = json.loads((out / "experiments/experiments.json").read_text())["mlflow"]["experiments"]
    assert ids["gone"] not in [one["id"] for one in shown]
    runs = json.loads((out / f"experiments/{ids['first']}/experiment.json").read_text())["mlflow"]["runs"]
    assert sorted(runs) == sorted([ids["run"], ids["child"], ids["orphan"]])

    def tags(run: str) -> Any:
        return json.loads((out / f"experiments/{ids['first']}/{ids[run]}/run.json").read_text())["mlflow"]["tags"]

    # It stops at a run whose parent it does not import.
    assert tags("child")["mlflow.parentRunId"] == ids["run"]
    assert "mlflow.parentRunId" not in tags("orphan")
    model = json.loads((out / "models/wine/model.json").read_text())["mlflow"]["registered_model"]
    assert [one["version"] for one in model["versions"]] == ["1", "3"]
    assert model["versions"][0]["source"] == f"runs:/{ids['run']}/artifacts/model"


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("after", [1, 6])
def test_an_export_that_was_stopped_goes_on(deps: Deps, mlflow: Mlflow, tmp_path: Path, after: int) -> None:
    ids = fill(mlflow)
    written(deps, tmp_path / "undisturbed")
    units = 0

    def stop(_counts: Counts) -> None:
        nonlocal units
        units += 1
        if units == after:
            raise StoppedError

    with pytest.raises(StoppedError):
        layout.write(deps, deps.project(ONE), "1", tmp_path / "out", stop)
    with pytest.raises(MltrailError, match="is not complete"):
        ExportFolder(tmp_path / "out", Findings()).describe()
    half = tmp_path / f"out/experiments/{ids['first']}/{ids['child']}.part"
    half.mkdir(parents=True)
    (tmp_path / "out/experiments/1/removed-meanwhile").mkdir(exist_ok=True)
    written(deps, tmp_path / "out")
    digests = (tmp_path / "out" / names.DIGESTS).read_text()
    assert digests == (tmp_path / "undisturbed" / names.DIGESTS).read_text()
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == sorted(
        path.name for path in (tmp_path / "undisturbed").rglob("*")
    )


def test_a_folder_with_anything_else_is_refused(deps: Deps, mlflow: Mlflow, tmp_path: Path) -> None:
    mlflow.post("runs/create", experiment_id="0")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine").write_text("mine")
    with pytest.raises(MltrailError, match="not empty"):
        written(deps, tmp_path / "full")
    written(deps, tmp_path / "out")
    with pytest.raises(MltrailError, match="complete export"):
        written(deps, tmp_path / "out")
    with pytest.raises(MltrailError, match="another project"):
        written(deps, tmp_path / "out", TWO)
    (tmp_path / "out" / names.STATE).write_text("{")
    with pytest.raises(MltrailError, match="can't be read"):
        written(deps, tmp_path / "out")


def run(settings: Settings, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.to_environment().items():
            patch.setenv(name, value)
        return cli.main(arguments)


def damage(deps: Deps, path: str, *, remove: bool) -> None:
    with deps.project(ONE).read() as tx:
        held = files.get(tx, path)
    assert held is not None
    local = deps.files.local_path(ONE, held.blob_id)
    assert local is not None
    if remove:
        Path(local).unlink()
    else:
        Path(local).write_bytes(b"x" * held.size)


@pytest.mark.parametrize("remove", [True, False])
def test_the_command_lists_lost_files_and_exits_with_1(
    deps: Deps, settings: Settings, mlflow: Mlflow, tmp_path: Path, capsys: Output, *, remove: bool
) -> None:
    ids = fill(mlflow)
    damage(deps, f"{ids['first']}/{ids['run']}/artifacts/model/MLmodel", remove=remove)
    options = ("export", "--format", "mlflow", "--project", "1", "--to", str(tmp_path / "out"))
    assert run(settings, *options, "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert said["lost"] == 1
    assert next(line for line in said["findings"] if line.startswith("missing")).startswith(
        f"missing: run {ids['run']}:"
    )
    shutil.rmtree(tmp_path / "out")
    assert run(settings, *options) == 1
    assert "Incomplete: 1 losses" in capsys.readouterr().out


def test_the_command_says_where_the_project_is(
    settings: Settings, mlflow: Mlflow, tmp_path: Path, capsys: Output
) -> None:
    mlflow.post("runs/create", experiment_id="0")
    options = ("export", "--format", "mlflow", "--to", str(tmp_path / "out"))
    assert run(settings, *options, "--project", "nowhere") == 2
    assert "No project 'nowhere'" in capsys.readouterr().err
    assert run(settings, *options, "--project", "1") == 0
    assert "load_into_mlflow.py" in capsys.readouterr().out
    assert (tmp_path / "out/load_into_mlflow.py").exists()
