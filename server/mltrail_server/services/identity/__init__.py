"""Who is asking: tokens, jobs, browser sessions, and which projects may use this server."""

__all__ = ["authentication", "memberships", "projects", "sessions"]
