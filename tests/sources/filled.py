"""Databases that MLflow of three generations has filled, with what it says of them: all made at the same time, once."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.environments import ENVIRONMENTS
from tests.processes import PATIENCE_SECONDS

PROGRAM = Path(__file__).parent / "fill_database.py"
GENERATIONS = {"mlflow-1.28": "cc1f77228345", "mlflow-2": "0584bdc529eb", "mlflow-3": "f4a9b2c7d1e6"}
"""The environments, and the revisions of their schemas."""


@dataclass(frozen=True)
class Filled:
    """A database, and what MLflow says of it."""

    generation: str
    path: Path
    told: dict[str, Any]


def fill(folder: Path) -> dict[str, Filled]:
    processes = {}
    pipe = subprocess.PIPE
    for name in GENERATIONS:
        home = folder / name
        home.mkdir()
        command = [ENVIRONMENTS / name / "bin/python", PROGRAM, home / "mlflow.db"]
        environment = os.environ | {"HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "true"}
        processes[name] = subprocess.Popen(command, stdout=pipe, stderr=pipe, cwd=home, env=environment)
    filled = {}
    for name, process in processes.items():
        out, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, errors.decode()
        filled[name] = Filled(name, folder / name / "mlflow.db", json.loads(out))
    return filled
