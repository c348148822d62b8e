"""A database that hangs: its connections stay open, and nothing comes back. No network timeout notices it."""

from pathlib import Path

import pytest

from tests.postgresql import Cluster
from tests.team_server import TeamServer


@pytest.mark.e2e
def test_a_server_says_soon_that_its_database_hangs_and_recovers(tmp_path: Path) -> None:
    with Cluster.started() as cluster:
        cluster.run("CREATE DATABASE mltrail")
        # One process, which has a connection since it was ready: one that has to open its first may give that up at the
        # moment when the check ends, and says so in other words.
        with TeamServer(tmp_path, database_url=cluster.url("mltrail"), workers=1) as server:
            with cluster.hanging():
                for _ in range(3):
                    answer = server.get("/readyz", retries=False, timeout=30)
                    assert answer.status == 503
                    assert answer.headers["Content-Type"].startswith("text/plain")
                    assert b"respond" in answer.data
                assert server.get("/healthz", retries=False, timeout=30).status == 200
            while server.get("/readyz", retries=False, timeout=30).status != 200:
                pass
