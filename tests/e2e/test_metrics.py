"""`/metrics` of a server with several processes: whichever is asked returns what all have counted."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.load import Connection
from tests.team_server import TeamServer

RUNS = 24
ROUTE = "/api/v4/projects/<project:project>/ml/mlflow/api/2.0/mlflow/runs/create"


def runs_made(server: TeamServer) -> float:
    text = server.get("/metrics").data.decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    return sum(
        sample.value
        for sample in families["mltrail_http_request_seconds"].samples
        if sample.name.endswith("_count") and sample.labels["route"] == ROUTE
    )


@pytest.mark.e2e
def test_all_processes_are_counted_and_one_that_is_killed_takes_nothing_away(tmp_path: Path) -> None:
    with TeamServer(tmp_path) as server:
        connections = [Connection(server.tracking_uri, server.token()) for _ in range(RUNS)]
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(lambda one: one.insist("POST", "mlflow/runs/create", json={"experiment_id": "0"}), connections)
            )
        assert {runs_made(server) for _ in range(6)} == {RUNS}
        server.kill("web")
        assert runs_made(server) == RUNS
