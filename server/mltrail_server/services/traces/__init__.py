"""Traces with their spans and assessments, evaluation datasets and scorers."""

__all__ = [
    "assessments",
    "datasets",
    "records",
    "redact",
    "rights",
    "scorers",
    "search",
    "spans",
    "trace_files",
    "traces",
]
