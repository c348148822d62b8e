"""Models, their versions and aliases."""

__all__ = ["aliases", "models", "search", "sources", "versions"]
