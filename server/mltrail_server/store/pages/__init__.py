"""What the tables of the pages show."""

__all__ = ["files", "histories", "prompts", "tables", "traces"]
