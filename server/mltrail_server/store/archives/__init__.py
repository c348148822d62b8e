"""The rows of all tables, as an archive has them."""

__all__ = ["rows", "spelling"]
