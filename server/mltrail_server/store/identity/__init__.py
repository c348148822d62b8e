"""Projects that have used this server, and browser sessions."""

__all__ = ["projects", "sessions"]
