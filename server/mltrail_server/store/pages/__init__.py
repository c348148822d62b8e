"""What the tables of the pages show."""

__all__ = [
    "catalogue",
    "curves",
    "datasets",
    "experiments",
    "files",
    "groups",
    "histories",
    "home",
    "prompts",
    "search",
    "sweep",
    "tables",
    "traces",
    "tree",
    "words",
]
