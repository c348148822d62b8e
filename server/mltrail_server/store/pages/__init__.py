"""What the tables of the pages show."""

__all__ = [
    "catalogue",
    "datasets",
    "experiments",
    "files",
    "histories",
    "home",
    "prompts",
    "search",
    "sweep",
    "tables",
    "traces",
]
