"""Traces, where their spans lie, what is said of them, evaluation datasets and scorers."""

__all__ = ["assessments", "datasets", "links", "records", "scorers", "search", "spans", "traces"]
