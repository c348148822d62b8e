"""`mltrail-server export`, `import --from-archive` and `move-project`: what they print, and their exit codes."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mltrail_server import cli
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store import schema
from tests.api.archives.filled import column, pem
from tests.mlflow_client import FILES, Mlflow, good

BACKENDS = ("sqlite",)
Output = pytest.CaptureFixture[str]


@pytest.fixture
def logged(deps: Deps, mlflow: Mlflow) -> str:
    """Answers the data folder of a server with a run that has a file."""
    run_id = mlflow.post("runs/create", experiment_id="0")["run"]["info"]["run_id"]
    good(mlflow.call("PUT", f"{FILES}/0/{run_id}/artifacts/a.txt", data=b"some"))
    return str(deps.settings.data_path)


def run(*arguments: object) -> int:
    return cli.main([str(one) for one in arguments])


def test_a_reader_may_leave_early(logged: str, tmp_path: Path) -> None:
    """As `mltrail-server export … | head` does."""
    reading, writing = os.pipe()
    os.close(reading)
    command = ["export", "--data-dir", logged, "--project", "1", "--to", str(tmp_path / "out"), "--quiet"]
    script = f"import sys; from mltrail_server.cli import main; sys.exit(main({command!r}))"
    ran = subprocess.run([sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (ran.returncode, ran.stderr) == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told(logged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    with Path("/dev/full").open("w") as full, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", full)
        assert run("export", "--data-dir", logged, "--project", 1, "--to", tmp_path / "out", "--quiet") == 2
        with suppress(OSError):
            full.close()
    assert "No space left on device" in capsys.readouterr().err


def test_out_and_in_again(logged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "--data-dir", logged, "--project", 1, "--to", tmp_path / "out") == 0
    said = capsys.readouterr()
    assert "             1  runs\n" in said.out
    assert said.out.endswith("without a signature.\n" + SIGN)
    assert "candidate: 1 rows" in said.err
    assert run("import", "--data-dir", logged, "--project", 2, "--from-archive", tmp_path / "out", "--quiet") == 0
    said = capsys.readouterr()
    assert "             1        the same  runs\n" in said.out
    assert "nothing is verified, and everything is marked as imported" in said.out
    assert said.err == ""


SIGN = "Set MLTRAIL_SIGNING_KEY to keep stamps and promotions verified on servers with the same key.\n"


def test_reports_for_machines(
    logged: str, deps: Deps, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLTRAIL_SIGNING_KEY", pem())
    (blob_id,) = column(deps, schema.blob.c.id, ProjectId(1))
    deps.files.delete(ProjectId(1), blob_id)
    assert run("export", "--data-dir", logged, "--project", 1, "--to", tmp_path / "out", "--quiet", "--json") == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["signed"], report["counts"]["runs"], len(report["lost"])) == (True, 1, 1)
    archive = ("--from-archive", tmp_path / "out", "--quiet", "--json")
    assert run("import", "--data-dir", logged, "--project", 2, *archive) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["trust"], report["missing"], report["counts"]["runs"]) == (
        "moved",
        [blob_id],
        {"archive": 1, "here": 1},
    )
    assert run("move-project", "--data-dir", logged, "--from", 2, "--to", 3, "--quiet", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["project"], report["counts"]["files"]) == ({"id": 3, "path": "3"}, {"archive": 1, "here": 1})


def test_wrong_use_says_what_to_do(logged: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "--data-dir", logged, "--project", "7", "--to", tmp_path / "out") == 2
    assert capsys.readouterr().err == "mltrail-server: No project '7' has been used here.\n"
    assert run("import", "--data-dir", logged, "--from-archive", tmp_path) == 2
    assert "has no archive: manifest.json is missing" in capsys.readouterr().err
    assert run("import", "--data-dir", logged, "--from-archive", tmp_path, "--dry-run") == 2
    assert "--dry-run can't be used with --from-archive" in capsys.readouterr().err
    assert run("move-project", "--data-dir", logged, "--from", "1", "--to", "1") == 2
    assert "1 is the same project" in capsys.readouterr().err
