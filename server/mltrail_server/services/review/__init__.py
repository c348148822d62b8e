"""What a pipeline does to the models: the comparison, the verdict, and the text of the note."""

__all__ = [
    "baselines",
    "case_uses",
    "cases",
    "examine",
    "judge",
    "judged",
    "note",
    "overrides",
    "packages",
    "pipeline_runs",
    "prompts",
    "red_verdicts",
    "report_jobs",
    "reports",
    "request_verdicts",
    "rows",
    "scorers",
    "summary",
    "trace_metrics",
]
