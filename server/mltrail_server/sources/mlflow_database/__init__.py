"""Reads an MLflow database directly: SQLite, PostgreSQL or MySQL, with the schema of MLflow 1.28 to 3.18."""

from .database import MlflowDatabase

__all__ = ["MlflowDatabase"]
