"""`kill -9` of web processes, of the worker and of PostgreSQL, while jobs log.

`make test-long` kills each of them twenty times, `make test` a few times.
"""

import json
from pathlib import Path

import pytest

from tests.faults.load import Load
from tests.length import length
from tests.postgresql import Cluster
from tests.team_server import TeamServer

KILLS = length(short=2, long=20)
CLIENTS = 6
BETWEEN = 60  # batches that are acknowledged between two kills


def check_files(server: TeamServer) -> None:
    """No file's bytes are gone, and those that a killed upload has left are all found."""
    *problems, totals = [json.loads(line) for line in server.run("check", "--digests", "--json").splitlines()]
    orphans = [problem for problem in problems if problem["problem"] == "young orphan"]
    there = [path for path in (server.folder / "data/artifacts").rglob("*") if path.is_file()]
    assert len([path for path in there if path.suffix != ".part"]) == totals["files"] + len(orphans)


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(900 + 60 * KILLS)
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
        check_files(server)
        assert "internal error" not in server.log.read_text()
