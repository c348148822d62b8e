"""Reads an `./mlruns` folder: what MLflow's FileStore of 1.28 to 3.18 has written."""

from .source import MlrunsFolder

__all__ = ["MlrunsFolder"]
