"""What the pages show, read for them in a fixed number of statements."""

__all__ = [
    "candidate",
    "catalogue",
    "charts",
    "compare",
    "consequences",
    "datasets",
    "evaluations",
    "experiments",
    "home",
    "live",
    "merge_requests",
    "models",
    "overview",
    "prompts",
    "search",
    "sweep",
    "tables",
    "traces",
    "usage",
]
