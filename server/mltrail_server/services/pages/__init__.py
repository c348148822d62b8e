"""What the pages show."""

__all__ = ["candidate", "charts", "compare", "experiments", "merge_requests", "models", "tables", "usage"]
