"""Models, their versions and aliases."""

__all__ = ["aliases", "cards", "models", "sources", "versions"]
