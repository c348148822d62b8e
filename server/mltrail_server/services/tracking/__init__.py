"""Experiments, candidates and what is logged to them."""

__all__ = [
    "bulk",
    "candidates",
    "detachments",
    "evidence",
    "experiments",
    "histories",
    "imported",
    "logged_models",
    "logging",
    "quotas",
    "saved_views",
    "search",
    "stamp",
]
