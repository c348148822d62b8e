"""What the tables of the pages show."""

__all__ = ["prompts", "tables", "traces"]
