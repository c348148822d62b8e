"""Traces and their spans: what applications did, step by step."""

__all__ = ["spans"]
