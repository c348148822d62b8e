"""Promotion: a pipeline's best candidate becomes a model version."""

__all__ = ["preview", "promote", "provenance", "write"]
