"""Traces and their spans, what is said of them, evaluation datasets and scorers."""

__all__ = [
    "assessments",
    "datasets",
    "records",
    "redact",
    "rights",
    "scorers",
    "spans",
    "trace_files",
    "traces",
]
