"""Which pipelines made which candidates a version."""

__all__ = ["promotions"]
