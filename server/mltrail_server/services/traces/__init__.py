"""Traces and their spans, what is said of them, evaluation datasets and scorers."""

__all__ = ["assessments", "datasets", "records", "rights", "scorers", "spans", "traces"]
