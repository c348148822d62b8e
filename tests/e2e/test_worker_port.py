"""A separate worker can be watched: `worker --listen`."""

import json
import subprocess
from pathlib import Path

import pytest
import urllib3

from tests.processes import PATIENCE_SECONDS, free_port
from tests.team_server import COMMAND, TeamServer

TOKEN = "token-of-prometheus"


@pytest.mark.e2e
def test_a_worker_by_itself_tells_its_health_and_metrics_and_logs_json(tmp_path: Path) -> None:
    port = free_port()
    command = [str(COMMAND), "serve", "--port", "{port}", "--no-worker"]
    variables = {"MLTRAIL_METRICS_TOKEN": TOKEN, "MLTRAIL_LOG_FORMAT": "json", "MLTRAIL_LOG_LEVEL": "info"}
    with TeamServer(tmp_path, command=command, **variables, MLTRAIL_LOG_REQUESTS="on") as server:
        log = tmp_path / "worker.log"
        with log.open("wb") as out:
            worker = subprocess.Popen(
                [str(COMMAND), "worker", "--listen", f"127.0.0.1:{port}"],
                env=server.environment(),
                stdout=out,
                stderr=out,
            )
        try:
            retries = urllib3.Retry(
                total=None, connect=200, status=200, status_forcelist=[503], backoff_factor=0.05, backoff_max=0.5
            )
            url = f"http://127.0.0.1:{port}"
            health = urllib3.request("GET", f"{url}/healthz", retries=retries, timeout=PATIENCE_SECONDS)
            assert health.status == 200
            assert health.headers["X-Request-Id"]
            assert urllib3.request("GET", f"{url}/metrics").status == 401
            metrics = urllib3.request("GET", f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
            assert b"mltrail_worker_lag_seconds" in metrics.data
        finally:
            worker.terminate()
            assert worker.wait(timeout=PATIENCE_SECONDS) == 0, log.read_text()
        server.get("/healthz", headers={"X-Request-Id": "mine-1"})
        server.stop()
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    mine = next(line for line in lines if line.get("request_id") == "mine-1")
    assert (mine["route"], mine["status"], mine["level"]) == ("/healthz", 200, "info")
    assert any(line["logger"] == "_granian" for line in lines)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
