"""Histories of old servers, made in their own environments."""

import json
import os
import subprocess
from pathlib import Path

from tests.clients.environments import ENVIRONMENTS

HERE = Path(__file__).parent
GENERATIONS = ("mlflow-1.28", "mlflow-2", "mlflow-3")


def fill(folder: Path, generation: str, *, seed: int, runs: int, later: bool = False) -> dict[str, int]:
    """Fill `folder/mlflow.db` and `folder/files`, and return what there is of each kind.

    `later` adds to a history that is there what happened since.
    """
    python = ENVIRONMENTS / generation / "bin/python"
    assert python.exists(), "the clients' environments are missing: `make client-envs` makes them"
    command = [str(python), "-m", "history", "--folder", str(folder), "--seed", str(seed), "--runs", str(runs)]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(HERE),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*command, *(["--later"] if later else [])],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return counts
