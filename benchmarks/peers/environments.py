"""Install the peers from PyPI, each into an environment of its own."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from .bases import FastTrackML, Mlflow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "peers"
_UV = Path(sys.executable).parent / "uv"
_PSYCOPG = "psycopg[binary]>=3.2"
_WANTED = {"mlflow": ("mlflow>=3.17,<4", _PSYCOPG), "fasttrackml": ("fasttrackml==0.6.0", "--no-deps")}
"""FastTrackML's package contains a program that needs none of the packages that it depends on."""


def make(mlflow: Path | None = None) -> None:
    """Make what is missing, and set the paths of the peers. `mlflow` is another environment's Python, whose MLflow is
    measured instead; PostgreSQL's driver is put beside it.
    """
    for name, packages in _WANTED.items():
        python = FOLDER / name / "bin/python"
        if not python.exists():
            subprocess.run([_UV, "venv", "--quiet", FOLDER / name], check=True)
            subprocess.run([_UV, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    Mlflow.python = FOLDER / "mlflow/bin/python"
    FastTrackML.binary = FOLDER / "fasttrackml/bin/fml"
    if mlflow is not None:
        Mlflow.python, Mlflow.path = mlflow.absolute(), str(FOLDER / "psycopg")
        if not (FOLDER / "psycopg").exists():
            command = [_UV, "pip", "install", "--quiet", "--python", mlflow, "--target", Mlflow.path, _PSYCOPG]
            subprocess.run(command, check=True)


def versions() -> dict[str, str]:
    """Say which versions are compared."""
    found = {"mltrail": version("mltrail"), "fasttrackml": _WANTED["fasttrackml"][0].partition("==")[2]}
    command = [Mlflow.python, "-c", "from importlib.metadata import version; print(version('mlflow'))"]
    found["mlflow"] = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return found
