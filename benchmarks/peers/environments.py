"""Install the peers from PyPI, each into an environment of its own."""

import subprocess
import sys
from pathlib import Path

from .bases import FastTrackML, Mlflow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".cache" / "peers"
_WANTED = {"mlflow": ("mlflow>=3.4,<4", "psycopg[binary]>=3.2"), "fasttrackml": ("fasttrackml==0.6.0", "--no-deps")}
"""FastTrackML's package contains a program that needs none of the packages that it depends on."""


def make() -> None:
    """Make what is missing, and set the paths of the peers."""
    uv = Path(sys.executable).parent / "uv"
    for name, packages in _WANTED.items():
        python = FOLDER / name / "bin/python"
        if not python.exists():
            subprocess.run([uv, "venv", "--quiet", FOLDER / name], check=True)
            subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *packages], check=True)
    Mlflow.python = FOLDER / "mlflow/bin/python"
    FastTrackML.binary = FOLDER / "fasttrackml/bin/fml"
