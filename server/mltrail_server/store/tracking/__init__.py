"""Experiments, candidates, and what was logged to them."""

__all__ = [
    "at_once",
    "candidate_tags",
    "candidates",
    "contents",
    "evidence",
    "experiments",
    "histories",
    "history_pages",
    "inputs",
    "logged_models",
    "metric_keys",
    "metrics",
    "owned_files",
    "params",
    "saved_views",
    "search",
    "search_clauses",
    "usage",
]
