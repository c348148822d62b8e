"""Every client that traces and evaluates sees the same from mltrail as from `mlflow server`.

The checks are in `evaluating/`; each runs in the environment of its client, once against either server, and answers
what it saw.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import ENVIRONMENTS, EVALUATING, HERE, TOKEN, checks_in
from tests.differential.servers import mlflow_server
from tests.e2e.processes import Server

AT_ONCE = 3
"""Programs that run at the same time: most of them wait for a server, and there are two processors."""


@dataclass(frozen=True)
class Run:
    """One client's checks against one server."""

    client: str
    server: str
    uri: str
    folder: Path

    def saw(self) -> dict[str, dict[str, Any]]:
        """What each check saw, and what went wrong."""
        python = ENVIRONMENTS / self.client / "bin/python"
        assert python.exists(), "the clients' environments are missing: `make client-envs` makes them"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(HERE),
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_TOKEN": TOKEN,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false",  # those that are about the background turn it on
            "GIT_PYTHON_REFRESH": "quiet",
            "PYTHONHASHSEED": "0",  # sets are shown in their order
        }
        done = subprocess.run(
            [python, "-m", "evaluating"], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"name"')]
        assert lines, done.stderr[-3000:]
        return {line["name"]: line for line in lines}


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], dict[str, dict[str, Any]]]]:
    """Run all clients against both servers, and answer what the checks of each saw."""
    new = tmp_path_factory.mktemp
    with mlflow_server(new("mlflow")) as theirs, Server.started(new("mltrail"), token=TOKEN) as ours:
        runs = []
        for number, client in enumerate(reversed(EVALUATING)):
            uri = f"{ours.url}/api/v4/projects/{200 + number}/ml/mlflow"
            runs += [Run(client, "mltrail", uri, new(client)), Run(client, "mlflow", theirs, new(client))]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            saw = list(pool.map(Run.saw, runs))
        yield {(run.client, run.server): one for run, one in zip(runs, saw, strict=True)}


CASES = [(client, check) for client, version in EVALUATING.items() for check in checks_in(HERE / "evaluating", version)]


@pytest.mark.clients
@pytest.mark.parametrize(("client", "check"), CASES)
def test_sees_the_same(seen: dict[tuple[str, str], dict[str, dict[str, Any]]], client: str, check: str) -> None:
    theirs, ours = seen[client, "mlflow"][check], seen[client, "mltrail"][check]
    assert theirs["error"] is None, theirs["error"]
    assert ours["error"] is None, ours["error"]
    assert ours["saw"] == theirs["saw"]


def test_every_client_has_its_checks() -> None:
    counts = [len(list(checks_in(HERE / "evaluating", version))) for version in EVALUATING.values()]
    assert sorted(counts) == counts
    assert counts[0] > 15, counts
    assert counts[-1] > 50, counts
