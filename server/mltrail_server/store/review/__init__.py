"""What a verdict is based on, and what it leaves behind."""

__all__ = [
    "case_uses",
    "contracts",
    "evaluations",
    "imported_runs",
    "jobs",
    "overrides",
    "pipeline_runs",
    "red_verdicts",
    "request_verdicts",
    "tombstones",
]
