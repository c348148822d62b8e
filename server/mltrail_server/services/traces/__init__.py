"""Traces and their spans, what is said of them, evaluation datasets and scorers."""

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
