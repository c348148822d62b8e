"""Reads a folder that mlflow-export-import or `mltrail-server export --format mlflow` has written."""

from .source import ExportFolder, Registered

__all__ = ["ExportFolder", "Registered"]
