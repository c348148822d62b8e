"""Traces, where their spans are, their assessments, evaluation datasets and scorers."""

__all__ = ["assessments", "datasets", "links", "records", "scorers", "search", "spans", "traces"]
