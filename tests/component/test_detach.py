"""`mltrail detach`: what it asks for, what the training gets, and what the log may show."""

import json
import shlex
import stat
from pathlib import Path

import pytest

from tests.component.conftest import Job

ANSWER = {
    "run_id": "ab" * 16,
    "iid": 7,
    "name": "deep",
    "url": "https://mltrail.example.com/team/churn/-/ml/candidates/7",
    "token": "mltd-secret.signature",
    "until_ms": 1_790_000_000_000,
}


@pytest.fixture
def launcher(job: Job, tmp_path: Path) -> Job:
    job.environment.chdir(tmp_path)
    job.environment.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    job.server.lay(f"POST {job.base}/detachments", ANSWER)
    return job


def test_the_training_gets_what_it_needs(launcher: Job, tmp_path: Path) -> None:
    code, output, _ = launcher.run("detach", "--for", "72h", "--experiment", "churn", "--name", "deep")
    assert code == 0
    assert launcher.server.asked[0].body == {"experiment": "churn", "name": "deep", "seconds": 259_200}
    file = tmp_path / "mltrail-detached.env"
    lines = [shlex.split(line) for line in file.read_text().splitlines()]
    assert [line[0] for line in lines] == ["export"] * 3
    assert dict(line[1].split("=", 1) for line in lines) == {
        "MLFLOW_TRACKING_URI": f"{launcher.server.url}/api/v4/projects/42/ml/mlflow",
        "MLFLOW_TRACKING_TOKEN": ANSWER["token"],
        "MLFLOW_RUN_ID": ANSWER["run_id"],
    }
    assert "2026-09-21 14:13 UTC" in output


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_the_token_is_in_no_log_and_for_the_owner_only(launcher: Job, tmp_path: Path, more: list[str]) -> None:
    file = tmp_path / "secret/run.env"
    file.parent.mkdir()
    file.write_text("open to all")
    file.chmod(0o644)
    _, output, error = launcher.run("detach", "--for", "3d", "--run", "ab" * 16, "--env", str(file), *more)
    assert launcher.server.asked[0].body == {"run_id": "ab" * 16, "seconds": 259_200}
    assert "mltd-" not in output + error
    assert ANSWER["run_id"] in output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if more:
        assert json.loads(output)["until_ms"] == ANSWER["until_ms"]


def test_the_experiment_of_the_environment_is_taken(launcher: Job) -> None:
    launcher.environment.setenv("MLFLOW_EXPERIMENT_NAME", "churn")
    launcher.run("detach", "--for", "90m")
    assert launcher.server.asked[0].body == {"experiment": "churn", "seconds": 5400}


@pytest.mark.parametrize(
    ("arguments", "named"), [(["--for", "72"], "--for"), (["--for", "72x"], "--for"), (["--for", "1h"], "--experiment")]
)
def test_what_is_missing_or_odd_is_named(launcher: Job, arguments: list[str], named: str) -> None:
    more = [] if named == "--experiment" else ["--experiment", "churn"]
    code, _, error = launcher.run("detach", *arguments, *more)
    assert (code, named in error) == (2, True)
    assert launcher.server.asked == []


def test_a_new_run_is_not_asked_for_twice(launcher: Job) -> None:
    """Where the answer is lost, a second call would begin a second run."""
    launcher.server.answers[f"POST {launcher.base}/detachments"] = [(502, "down"), (200, ANSWER)]
    code, _, error = launcher.run("detach", "--for", "1h", "--experiment", "churn")
    assert (code, len(launcher.server.asked)) == (3, 1)
    assert "502" in error
