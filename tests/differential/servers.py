"""Both sides: a real `mlflow server`, and ours."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.processes import Server
from tests.processes import PATIENCE_SECONDS, free_port, status, wait_until

TOKEN = "token-of-the-differential-test"
CLIENTS = Path(__file__).parents[2] / ".venv-clients"


@contextmanager
def mlflow_server(folder: Path, generation: str = "mlflow-3") -> Iterator[str]:
    """Start MLflow's own server with SQLite, and answer its URL once it serves."""
    port, programs = free_port(), CLIENTS / generation / "bin"
    command = [
        str(programs / "mlflow"),
        "server",
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "files"), "--serve-artifacts"),
    ]
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
        url = f"http://127.0.0.1:{port}"
        try:
            ready = f"{url}/health"
            wait_until(lambda: status(ready) == 200, "MLflow's server answers", process=process, log=folder / "log")
            yield url
        finally:
            os.killpg(process.pid, 15)
            process.wait(PATIENCE_SECONDS)


@contextmanager
def mltrail_server(folder: Path) -> Iterator[str]:
    """Start ours in local mode, and answer its tracking URI."""
    with Server.started(folder, token=TOKEN) as server:
        yield f"{server.url}/api/v4/projects/1/ml/mlflow"
