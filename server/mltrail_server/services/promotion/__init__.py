"""Promotion: a pipeline's best candidate becomes a model version."""

__all__ = ["offer", "preview", "promote", "provenance", "write"]
