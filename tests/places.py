"""Where things are in the repository."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
TRAIN_PYTHON = ROOT / ".venv-train/bin/python"
"""The environment of trainings: `make train-env`."""
RELEASE_PYTHON = ROOT / ".venv-release/bin/python"
"""The environment of a release's tools: `make release-env`."""
