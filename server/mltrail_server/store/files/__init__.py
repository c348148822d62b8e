"""Files, their bytes, and uploads that are under way."""

__all__ = ["blobs", "files", "uploads"]
