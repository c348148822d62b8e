"""Remember what was imported, and where it came from."""

__all__ = ["origins"]
