"""Tables of cases that runs have logged: find them, read them, compare them, and remember what was found."""

__all__ = ["evaluations", "results"]
