"""`kill -9` of web processes, of the worker and of PostgreSQL, while jobs log.

`FAULTS=20` kills each of them twenty times; without it, a few times.
"""

import os
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.postgresql import Cluster
from tests.team_server import TeamServer

KILLS = int(os.environ.get("FAULTS", "2"))
CLIENTS = 6
BETWEEN = 60  # batches that are acknowledged between two kills


@pytest.mark.e2e
@pytest.mark.timeout(120 + 60 * KILLS)
def test_nothing_acknowledged_is_lost(tmp_path: Path, database_url: str, request: pytest.FixtureRequest) -> None:
    with TeamServer(tmp_path, database_url=database_url) as server:
        load = Load(server.tracking_uri, server.token())
        with load.running(CLIENTS):
            for _ in range(KILLS):
                for victim in ("web", "worker", "database"):
                    load.wait_for(BETWEEN)
                    if victim != "database":
                        server.kill(victim)
                    elif database_url:
                        cluster: Cluster = request.getfixturevalue("durable_cluster")
                        cluster.kill()
                        cluster.start()
            load.wait_for(BETWEEN)
        assert load.check() > BETWEEN
        assert "incident" not in server.log.read_text()
