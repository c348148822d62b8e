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
    """A database, and what MLflow's own client shows of it."""

    generation: str
    path: Path
    shown: dict[str, Any]


def fill(folder: Path) -> dict[str, Filled]:
    """Fill a folder, unless another worker has done so already."""
    if not folder.exists():
        folder.mkdir()
        _run_all(folder)
    return {name: _filled(folder, name) for name in GENERATIONS}


def _filled(folder: Path, name: str) -> Filled:
    return Filled(name, folder / name / "mlflow.db", json.loads((folder / name / "shown.json").read_text()))


def _run_all(folder: Path) -> None:
    processes = []
    for name in GENERATIONS:
        home = folder / name
        home.mkdir()
        command = [ENVIRONMENTS / name / "bin/python", PROGRAM, home / "mlflow.db"]
        environment = os.environ | {"HOME": str(home), "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (home / "shown.json").open("wb") as shown, (home / "errors").open("wb") as errors:
            processes.append(subprocess.Popen(command, stdout=shown, stderr=errors, cwd=home, env=environment))
    for name, process in zip(GENERATIONS, processes, strict=True):
        assert process.wait(timeout=PATIENCE_SECONDS) == 0, (folder / name / "errors").read_text()
