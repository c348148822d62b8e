"""Every client that a team may have does everything that users do: https://mlflow.org/docs/latest/api_reference/.

The checks are in `checks/`; each runs in the environment of its client, against one real server over HTTP.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.environments import CLIENTS, ENVIRONMENTS, HERE, TOKEN, checks_in
from tests.e2e.processes import Server

GITLABS_OWN = "mlflow-2"


def checks_of(client: str) -> list[str]:
    checks = checks_in(HERE / "checks", CLIENTS[client])
    return [check for check in checks if client == GITLABS_OWN or not check.startswith("gitlab.")]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.started(tmp_path_factory.mktemp("server"), token=TOKEN) as running:
        yield running


@pytest.fixture(scope="session")
def outcomes(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str | None]]:
    """Run all clients at once, and answer what became of each check: None, or its traceback."""
    folders = {client: tmp_path_factory.mktemp(client) for client in CLIENTS}
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        done = pool.map(lambda client: run(client, server, folders[client]), CLIENTS)
        return dict(zip(CLIENTS, done, strict=True))


def run(client: str, server: Server, folder: Path) -> dict[str, str | None]:
    python = ENVIRONMENTS / client / "bin/python"
    assert python.exists(), "the clients' environments are missing: `make client-envs` makes them"
    project = 100 + list(CLIENTS).index(client)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "SETUPTOOLS_USE_DISTUTILS": "stdlib",  # scikit-learn's autologging of old clients asks for distutils
        "MLFLOW_TRACKING_URI": f"{server.url}/api/v4/projects/{project}/ml/mlflow",
        "MLFLOW_TRACKING_TOKEN": TOKEN,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    done = subprocess.run(
        [python, "-m", "checks"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
    assert lines, done.stderr[-3000:]
    return {line["name"]: line["error"] for line in lines}


@pytest.mark.clients
@pytest.mark.parametrize(("client", "check"), [(client, check) for client in CLIENTS for check in checks_of(client)])
def test_client(outcomes: dict[str, dict[str, str | None]], client: str, check: str) -> None:
    found = outcomes[client]
    assert check in found, f"{client} did not run {check}, but {sorted(found)}"
    assert found[check] is None, found[check]


def test_every_client_has_its_checks() -> None:
    counts = {client: len(checks_of(client)) for client in CLIENTS}
    assert counts["mlflow-3"] > counts["mlflow-2.7"] > 40, counts
