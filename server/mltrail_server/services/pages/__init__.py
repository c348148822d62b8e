"""What the pages show, read for them in a fixed number of statements."""

__all__ = [
    "candidate",
    "charts",
    "compare",
    "consequences",
    "evaluations",
    "experiments",
    "live",
    "merge_requests",
    "models",
    "overview",
    "prompts",
    "tables",
    "traces",
    "usage",
]
