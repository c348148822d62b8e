"""Archives: a project, or all of a server, as rows and files that restore it."""

__all__ = ["importing", "manifest", "moves", "reader", "writer"]
