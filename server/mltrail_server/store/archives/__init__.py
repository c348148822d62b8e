"""The rows of all tables, as an archive has them."""

__all__ = ["blob_index", "changes", "projects", "rows", "snapshot", "spelling", "staging", "target"]
