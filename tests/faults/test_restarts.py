"""Trainings go on while mltrail is away, with the variables that `templates/track.yml` sets, for each MLflow client.

In `make test-long` it is away for two minutes, in `make test` for a few seconds.
"""

import threading
from pathlib import Path

import pytest

from tests.clients.environments import CLIENTS
from tests.faults.load import Connection
from tests.faults.trainings import Trainings
from tests.length import length
from tests.processes import PATIENCE_SECONDS
from tests.team_server import TeamServer

AWAY_SECONDS = length(short=6.0, long=120.0)


@pytest.mark.clients
@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.timeout(900 + 8 * AWAY_SECONDS)
def test_trainings_go_on_with_every_client(tmp_path: Path) -> None:
    with TeamServer(tmp_path / "server") as server:
        trainings = Trainings(server.tracking_uri, server.token(), tmp_path / "trainings", CLIENTS)
        trainings.wait_for_a_run_more()
        server.stop()
        threading.Event().wait(AWAY_SECONDS)
        server.start()
        trainings.wait_for_a_run_more(seconds=4 * AWAY_SECONDS + PATIENCE_SECONDS)
        trainings.end()
        trainings.check(Connection(server.tracking_uri, server.token()))
