"""Take a project's history out of this server, in a layout that other tools read."""

__all__ = ["layout"]
