"""`mltrail-server import`, as operators run it: options, exit codes, reports, maps."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from mltrail_server import cli
from mltrail_server.services.context.deps import Deps
from mltrail_server.settings import Settings
from tests.fakes.history import eid
from tests.mlflow_client import Mlflow

BACKENDS = ("sqlite",)
Output = pytest.CaptureFixture[str]
RUN = """artifact_uri: ''
end_time: 1700000001000
experiment_id: '{experiment}'
lifecycle_stage: active
run_id: '{run}'
run_name: fit
run_uuid: '{run}'
source_type: 4
start_time: 1700000000000
status: 3
tags: []
user_id: ada
"""


@pytest.fixture
def mlruns(tmp_path: Path) -> Path:
    """A folder with two experiments, each with a run."""
    for number in (1, 2):
        folder = tmp_path / f"mlruns/{number}"
        run = folder / eid(number)
        for name in ("metrics", "params", "tags", "artifacts"):
            (run / name).mkdir(parents=True)
        about = f"artifact_location: {folder.as_uri()}\nexperiment_id: '{number}'\n"
        (folder / "meta.yaml").write_text(f"{about}lifecycle_stage: active\nname: exp {number}\n")
        (run / "meta.yaml").write_text(RUN.format(experiment=number, run=eid(number)))
        (run / "metrics/loss").write_text("1700000000000 0.5 0\n1700000000001 0.25 1\n")
        (run / "artifacts/notes.txt").write_text("hello")
    return tmp_path / "mlruns"


@pytest.fixture
def run(deps: Deps, settings: Settings, capsys: Output) -> Any:
    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.to_environment().items():
                patch.setenv(name, value)
            code = cli.main(["import", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


def test_it_reports_both_sides(run: Any, mlruns: Path, mlflow: Mlflow) -> None:
    code, out, err = run("--from-folder", mlruns, "--project", 1)

    assert (code, err) == (0, "")
    assert ["runs", "2", "2"] in [line.split() for line in out.splitlines()]
    assert out.splitlines()[-1].startswith("Everything is here")
    assert mlflow.get("runs/get", run_id=eid(2))["run"]["info"]["run_name"] == "fit"


def test_a_difference_is_exit_code_1(run: Any, mlruns: Path, tmp_path: Path) -> None:
    (mlruns / f"1/{eid(1)}/metrics/bad?name").write_text("1700000000000 0.5 0\n")
    report = tmp_path / "findings.jsonl"

    code, out, _ = run("--from-folder", mlruns, "--project", 1, "--json", "--report", report)

    found = json.loads(out)
    assert (code, found["clean"]) == (1, False)
    assert found["projects"][0]["counts"]["metric points"] == {"source": 5, "here": 4, "more_here": 0}
    (line,) = map(json.loads, report.read_text().splitlines())
    assert (line["kind"], line["entity"], line["owner"]) == ("refused", "metric points", f"run {eid(1)}")


def test_a_dry_run_and_a_rehearsal(run: Any, mlruns: Path, mlflow: Mlflow) -> None:
    dry, out, _ = run("--from-folder", mlruns, "--project", 1, "--dry-run")
    rehearsed, said, _ = run("--from-folder", mlruns, "--project", 1, "--rehearse")

    assert (dry, rehearsed) == (0, 0)
    assert "nothing was written" in out
    assert "An import takes about" in said
    assert mlflow.error("GET", "runs/get", run_id=eid(1))[0] == 404


def test_a_map_of_two_projects(run: Any, mlruns: Path, tmp_path: Path, mlflow: Mlflow) -> None:
    file = tmp_path / "map.yml"
    parts = "projects:\n- {project: 1, experiments: [exp 1], rename: {experiments: {exp 1: ours}}}\n- {project: 2}\n"
    file.write_text(f"source: {{folder: {mlruns}}}\nusers: {{ada: ada.lovelace}}\n{parts}")

    code, out, _ = run("--map", file)

    assert code == 0
    assert "Project 1\n" in out
    assert "Project 2\n" in out
    assert mlflow.get("experiments/get-by-name", experiment_name="ours")
    assert mlflow.get("runs/get", run_id=eid(1))["run"]["info"]["user_id"] == "ada.lovelace"
    other = Mlflow(mlflow.client, project="2")
    assert other.get("experiments/get-by-name", experiment_name="exp 2")
    assert other.error("GET", "runs/get", run_id=eid(1))[0] == 404


def test_a_glob_that_matches_nothing_is_told(run: Any, mlruns: Path, tmp_path: Path) -> None:
    """A misspelled name is no import without differences."""
    code, out, err = run("--from-folder", mlruns, "--project", 1, "--experiment", "epx*")
    assert (code, out) == (2, "")
    assert "It has 'exp 1', 'exp 2'." in err
    assert run("--from-folder", mlruns, "--project", 1, "--model", "nothing")[0] == 2

    file = tmp_path / "map.yml"
    part = "{project: 1, experiments: [exp 1, epx*], rename: {experiments: {epx: ours}}}"
    file.write_text(f"source: {{folder: {mlruns}}}\nprojects:\n- {part}\n")
    code, out, _ = run("--map", file)
    assert code == 0
    assert "project 1: nothing at the source matches 'epx*'" in out
    assert "project 1: nothing at the source is called 'epx', so it is not renamed" in out


def test_the_folder_that_was_meant_is_named(run: Any, mlruns: Path) -> None:
    for near in (mlruns.parent, mlruns / "1"):
        code, _, err = run("--from-folder", near, "--project", 1)
        assert (code, f"Did you mean {mlruns}?" in err) == (2, True)
    assert "say --from-database" in run("--from-folder", mlruns / "1/meta.yaml", "--project", 1)[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from-folder", "nowhere", "--project", "1"], "nowhere"),
        (["--from-folder", "nowhere"], "--project is missing"),
        (["--from-folder", "nowhere", "--project", "group/name"], "is not a project number"),
        (["--map", "nowhere", "--project", "1"], "belong in the map file"),
        (["--map", "nowhere"], "nowhere: No such file or directory"),
        (["--from-gitlab", "https://gitlab.com", "--project", "1"], "--gitlab-project"),
    ],
    ids=["folder", "project", "path", "map", "missing", "gitlab"],
)
def test_wrong_use_is_exit_code_2(run: Any, options: list[str], message: str) -> None:
    code, out, err = run(*options)

    assert (code, out) == (2, "")
    assert message in err


def test_a_terminal_may_not_know_all_letters(
    run: Any, mlruns: Path, monkeypatch: pytest.MonkeyPatch, deps: Deps
) -> None:
    del deps
    (mlruns / f"1/{eid(1)}/metrics/größe?").write_text("1700000000000 0.5 0\n")
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii"))

    code, _, err = run("--from-folder", mlruns, "--project", 1)

    assert (code, err) == (1, "")
    assert rb"gr\xf6\xdfe?" in written.getvalue()
    assert written.getvalue().isascii()


def test_a_report_that_cant_be_written_is_said_at_once(run: Any, mlruns: Path, tmp_path: Path) -> None:
    code, out, err = run("--from-folder", mlruns, "--project", 1, "--report", tmp_path / "no/folder")

    assert (code, out) == (2, "")
    assert err == f"mltrail-server: {tmp_path}/no/folder: No such file or directory\n"
