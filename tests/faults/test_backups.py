"""A backup while many clients write: nothing that was acknowledged before it began is missing, and nothing is half."""

import json
from pathlib import Path

import pytest

from tests.faults.load import Connection, Load
from tests.team_server import TeamServer

CLIENTS = 32
FEW_CLIENTS = 8
"""For PostgreSQL, whose snapshot does not depend on how many write: 32 of them show nothing more, and take a minute."""


@pytest.mark.e2e
def test_what_was_acknowledged_before_a_backup_is_in_it(tmp_path: Path, database_url: str) -> None:
    """Restored elsewhere, from either database into SQLite."""
    clients = FEW_CLIENTS if database_url.startswith("postgresql") else CLIENTS
    some = 2 * clients  # batches
    with TeamServer(tmp_path, database_url=database_url) as server:
        load = Load(server.tracking_uri, server.token())
        with load.running(clients):
            load.wait_for(some)
            before = [training.copy() for training in list(load.trainings)]
            server.run("backup", "--to", str(tmp_path / "backups"), "--quiet")
            load.wait_for(some)
        server.stop()
        server.settle_elsewhere(tmp_path / "new")
        said = server.run("restore", "--from", str(tmp_path / "backups"), "--quiet", "--json")
        check = json.loads(said.splitlines()[-1])["check"]
        assert check["files"] > 0
        assert not any(check["problems"].values())
        server.start()
        connection = Connection(server.tracking_uri, server.token())
        for training in before:
            training.unsure = list(range(load.steps))  # what came later may be in it, too
            training.check(connection)
        assert sum(len(training.sure) for training in before) > some / 2
        assert "internal error" not in server.log.read_text()
