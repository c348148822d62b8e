"""Reads a folder in the layout of mlflow-export-import: by that tool, or by `mltrail-server export --format mlflow`."""

from .source import ExportFolder, Registered

__all__ = ["ExportFolder", "Registered"]
