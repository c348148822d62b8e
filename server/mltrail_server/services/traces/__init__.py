"""Traces and their spans, what is said of them, evaluation datasets and scorers."""

__all__ = ["rights", "spans", "traces"]
