"""Models, their versions and aliases."""

__all__ = ["aliases", "cards", "experiments", "models", "sources", "versions"]
