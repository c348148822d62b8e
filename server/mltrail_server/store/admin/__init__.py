"""What operators look at and remove."""

__all__ = ["deleted", "facts", "losers", "overview"]
