"""Every client that traces and evaluates sees the same from mltrail as from `mlflow server`.

The checks are in `evaluating/`; each runs in the environment of its client, once against either server, and answers
what it saw.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import ENVIRONMENTS, EVALUATING, HERE, TOKEN, checks_in
from tests.differential.servers import mlflow_server
from tests.e2e.processes import Server

Seen = dict[str, dict[str, Any]]
"""What each check saw, and what went wrong."""


@dataclass(frozen=True)
class Run:
    """One client's checks against one server."""

    client: str
    uri: str
    folder: Path

    def saw(self) -> Seen:
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
        unsaid = {"error": f"The client did not come to this check.\n{done.stderr[-3000:]}"}
        return {"": unsaid} | {line["name"]: line for line in lines}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Both servers, which all clients share, by their URLs."""
    new = tmp_path_factory.mktemp
    with mlflow_server(new("mlflow")) as theirs, Server.started(new("mltrail"), token=TOKEN) as ours:
        yield theirs, ours.url


@pytest.fixture(scope="module")
def seen(servers: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Seen, Seen]]:
    """What a client sees of `mlflow server`, and of mltrail: asked for once, of both at the same time."""

    @cache
    def of(client: str) -> tuple[Seen, Seen]:
        theirs, ours = servers
        project = 200 + list(EVALUATING).index(client)
        uris = (theirs, f"{ours}/api/v4/projects/{project}/ml/mlflow")
        runs = [Run(client, uri, tmp_path_factory.mktemp(client)) for uri in uris]
        with ThreadPoolExecutor(len(runs)) as pool:
            first, second = pool.map(Run.saw, runs)
        return first, second

    return of


CASES = [(client, check) for client, version in EVALUATING.items() for check in checks_in(HERE / "evaluating", version)]


@pytest.mark.clients
@pytest.mark.parametrize(("client", "check"), CASES)
def test_sees_the_same(seen: Callable[[str], tuple[Seen, Seen]], client: str, check: str) -> None:
    theirs, ours = (one.get(check, one[""]) for one in seen(client))
    assert theirs["error"] is None, theirs["error"]
    assert ours["error"] is None, ours["error"]
    assert ours["saw"] == theirs["saw"]


def test_every_client_has_its_checks() -> None:
    counts = [len(list(checks_in(HERE / "evaluating", version))) for version in EVALUATING.values()]
    assert sorted(counts) == counts
    assert counts[0] > 15, counts
    assert counts[-1] > 50, counts
