"""What was imported, and where it came from."""

__all__: list[str] = []
