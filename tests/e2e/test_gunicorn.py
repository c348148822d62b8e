"""gunicorn serves as well, by the command that docs/how-to/operate.md shows."""

from pathlib import Path

import pytest

from tests.e2e.gunicorn import documented
from tests.faults.load import Load
from tests.team_server import TeamServer


@pytest.mark.e2e
def test_it_serves_and_stops(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers"
    numbers.mkdir()
    settings = {"PROMETHEUS_MULTIPROC_DIR": str(numbers)}
    with TeamServer(tmp_path / "server", command=documented(), **settings) as server:
        load = Load(server.tracking_uri, server.token())
        with load.running(4):
            load.wait_for(40)
            server.stop()
            server.start()
            load.wait_for(40)
        load.check()
        assert b"mltrail_http_request_seconds_count" in server.get("/metrics").data
        assert "internal error" not in server.log.read_text()
