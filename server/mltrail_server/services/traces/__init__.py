"""Traces and their spans, what is said of them, evaluation datasets and scorers."""

__all__ = ["datasets", "records", "rights", "scorers", "spans", "traces"]
