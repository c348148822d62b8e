"""What `mltrail doctor` says of a set-up is what becomes of MLflow's client in it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import ENVIRONMENTS, TOKEN
from tests.e2e.processes import Server

pytestmark = pytest.mark.clients

TRAIN = "import mlflow\nprint(len(mlflow.tracking.MlflowClient().search_experiments()))\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.started(tmp_path_factory.mktemp("server"), token=TOKEN) as running:
        yield running


def both(server: Server, client: str, home: Path, **variables: str) -> tuple[bool, dict[str, Any]]:
    """Whether MLflow's client gets through, and what the doctor found."""
    python = ENVIRONMENTS / client / "bin/python"
    environment = {
        "PATH": f"{python.parent}{os.pathsep}/bin",
        "HOME": str(home),
        "MLFLOW_TRACKING_URI": f"{server.url}/api/v4/projects/1/ml/mlflow",
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "no_proxy": "127.0.0.1",
        **variables,
    }
    trained = subprocess.run([python, "-c", TRAIN], cwd=home, env=environment, capture_output=True, check=False)
    command = [sys.executable, "-m", "mltrail_ci.cli", "doctor", "--json"]
    asked = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert "s3cr3t" not in asked.stdout + asked.stderr
    assert TOKEN.strip() not in asked.stdout + asked.stderr
    checks = {one["name"]: one for one in json.loads(asked.stdout)["checks"]}
    assert asked.returncode == (0 if all(one["ok"] for one in checks.values()) else 1)
    return trained.returncode == 0, checks


@pytest.mark.parametrize("client", ["mlflow-1.28", "mlflow-3"])
def test_a_good_set_up(server: Server, client: str, tmp_path: Path) -> None:
    trained, checks = both(server, client, tmp_path)
    assert trained
    assert all(one["ok"] for one in checks.values())
    assert "reaches the server" in checks["MLflow's client"]["message"]


LOGIN = "machine 127.0.0.1 login x password s3cr3t\n"
KEPT = "[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = s3cr3t\n"
# A file, with its content; a variable, with its value; what the doctor names.
ODD: dict[str, tuple[tuple[str, str] | None, tuple[str, str] | None, str]] = {
    "netrc": ((".netrc", LOGIN), None, "netrc"),
    "uri": (None, ("MLFLOW_TRACKING_URI", "{login}/api/v4/projects/1/ml/mlflow"), "login in the URI"),
    "line break": (None, ("MLFLOW_TRACKING_TOKEN", f"{TOKEN}\n"), "MLflow's client"),
    "proxy": (None, ("http_proxy", "127.0.0.1:9"), "proxy"),
    "credentials": ((".mlflow/credentials", KEPT), None, "basic auth"),
}


@pytest.mark.parametrize(("client", "what"), [("mlflow-1.28", "netrc"), *(("mlflow-3", what) for what in ODD)])
def test_what_the_doctor_finds_is_what_fails(server: Server, client: str, what: str, tmp_path: Path) -> None:
    file, variable, named = ODD[what]
    if file:
        path = tmp_path / file[0]
        path.parent.mkdir(exist_ok=True)
        path.write_text(file[1])
    login = server.url.replace("://", "://me:s3cr3t@")
    variables = {variable[0]: variable[1].format(home=tmp_path, login=login)} if variable else {}
    trained, checks = both(server, client, tmp_path, **variables, no_proxy="10.0.0.0/8")
    assert not trained
    assert not checks[named]["ok"]
    assert what == "proxy" or not checks["MLflow's client"]["ok"]
    if named == "netrc":  # and the fix works
        assert "NETRC=/dev/null" in checks["netrc"]["fix"]
        trained, checks = both(server, client, tmp_path, NETRC="/dev/null")
        assert trained
        assert "netrc" not in checks


def test_a_network_in_no_proxy_counts_for_both(server: Server, tmp_path: Path) -> None:
    trained, checks = both(server, "mlflow-3", tmp_path, http_proxy="127.0.0.1:9", no_proxy="127.0.0.0/8")
    assert trained
    assert all(one["ok"] for one in checks.values())
