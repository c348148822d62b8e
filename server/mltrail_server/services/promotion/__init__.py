"""From the best candidate of a pipeline to a model version."""

__all__ = ["preview", "promote", "provenance", "write"]
