"""What the tables of the pages show."""

__all__ = ["files", "prompts", "tables", "traces"]
