"""A database that hangs: its connections stay open, and nothing comes back. No network timeout notices it."""

from pathlib import Path

import pytest

from tests.postgresql import Cluster
from tests.team_server import TeamServer


@pytest.mark.e2e
def test_a_server_says_soon_that_its_database_hangs_and_recovers(tmp_path: Path) -> None:
    with Cluster.started() as cluster:
        cluster.run("CREATE DATABASE mltrail")
        with TeamServer(tmp_path, database_url=cluster.url("mltrail")) as server:
            assert server.get("/readyz").status == 200
            with cluster.hanging():
                for _ in range(3):
                    answer = server.get("/readyz", retries=False, timeout=30)
                    assert answer.status == 503
                    assert answer.headers["Content-Type"].startswith("text/plain")
                    assert b"respond" in answer.data
                assert server.get("/healthz", retries=False, timeout=30).status == 200
            while server.get("/readyz", retries=False, timeout=30).status != 200:
                pass
