"""The check of the store, as operators run it: docs/how-to/operate.md. Damage is done by hand, in a folder."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from mltrail_server import cli
from mltrail_server.artifacts.local import LocalFiles
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from mltrail_server.store.files import files
from tests.mlflow_client import FILES, Mlflow, good

BACKENDS = ("sqlite",)
ONE = ProjectId(1)
Output = pytest.CaptureFixture[str]


def put(mlflow: Mlflow, path: str) -> None:
    good(mlflow.call("PUT", f"{FILES}/{path}", data=b"bytes"))


def run(settings: Settings, *arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.to_environment().items():
            patch.setenv(name, value)
        return cli.main(arguments)


def check(settings: Settings, output: Output, *options: str) -> tuple[int, list[Any], Any]:
    """Run the command: its exit code, what it found, and its totals."""
    output.readouterr()
    code = run(settings, "check", "--json", *options)
    *found, totals = [json.loads(line) for line in output.readouterr().out.splitlines()]
    return code, found, totals


def path_of(deps: Deps, path: str) -> Path:
    with deps.project(ONE).read() as tx:
        held = files.get(tx, path)
    assert held is not None
    found = deps.files.local_path(ONE, held.blob_id)
    assert found is not None
    return Path(found)


def test_it_finds_what_is_wrong(mlflow: Mlflow, root: str, deps: Deps, settings: Settings, capsys: Output) -> None:
    for name in ("good", "missing", "short", "flipped"):
        put(mlflow, f"{root}/{name}")
    assert check(settings, capsys)[:2] == (0, [])
    path_of(deps, f"{root}/missing").unlink()
    path_of(deps, f"{root}/short").write_bytes(b"byt")
    path_of(deps, f"{root}/flipped").write_bytes(b"BYTES")
    orphan = path_of(deps, f"{root}/good").parent.parent / "ab" / ("ab" + "0" * 30)
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"nobody's")
    code, found, totals = check(settings, capsys)
    assert code == 1
    assert {(one["problem"], *one["names"]) for one in found} == {
        ("missing", f"{root}/missing"),
        ("size", f"{root}/short"),
        ("young orphan",),
    }
    assert (totals["files"], totals["problems"]["missing"]) == (4, 1)
    assert {one["problem"] for one in check(settings, capsys, "--digests")[1]} >= {"digest", "missing", "size"}
    assert run(settings, "check") == 1
    assert "3 bytes instead of 5: 0/" in capsys.readouterr().out


def test_orphans_go_when_the_operator_says_so(
    mlflow: Mlflow, root: str, deps: Deps, settings: Settings, capsys: Output
) -> None:
    put(mlflow, f"{root}/good")
    folder = path_of(deps, f"{root}/good").parent.parent / "ab"
    folder.mkdir(exist_ok=True)
    old, young, part = (folder / f"ab{number}{'0' * 29}{end}" for number, end in ((1, ""), (2, ""), (3, ".part")))
    for path in (old, young, part):
        path.write_bytes(b"x")
    for path in (old, part):
        os.utime(path, (1, 1))
    code, found, _ = check(settings, capsys)
    assert (code, [one["problem"] for one in found]) == (0, ["orphan", "young orphan", "unfinished upload"])
    assert run(settings, "gc", "--dry-run", "--orphans") == 0
    assert (part.exists(), old.exists()) == (True, True)
    assert run(settings, "gc") == 0
    assert (part.exists(), old.exists()) == (False, True)
    assert run(settings, "gc", "--orphans") == 0
    assert (old.exists(), young.exists()) == (False, True)
    assert "Removed 1 files that the database does not know (1 bytes)" in capsys.readouterr().out


def test_the_folder_lists_its_files_by_id(tmp_path: Path) -> None:
    store = LocalFiles(tmp_path)
    for _ in range(20):
        store.put(ONE, io.BytesIO(b"x"))
    (tmp_path / "lost+found").mkdir()
    listed = [one.blob_id for one in store.stored(ONE)]
    assert listed == sorted(listed)
    assert len(listed) == 20
    assert store.projects() == [ONE]


@pytest.mark.parametrize("command", [["check"], ["gc"], ["gc", "--orphans"]])
def test_a_folder_that_no_server_has_used_is_refused(command: list[str], tmp_path: Path, capsys: Output) -> None:
    elsewhere = Settings(data_dir=str(tmp_path / "elsewhere"))
    assert run(elsewhere, *command) == 2
    assert str(tmp_path / "elsewhere") in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_is_no_servers_database_is_refused(tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "mltrail.db").touch()
    assert run(Settings(data_dir=str(tmp_path)), "check") == 2
    assert "No server has set up" in capsys.readouterr().err
