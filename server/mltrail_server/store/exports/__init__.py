"""A whole project, read page by page for those who take it elsewhere."""

__all__ = ["history"]
