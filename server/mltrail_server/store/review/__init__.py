"""What a verdict rests on and leaves behind."""

__all__ = ["contracts", "jobs", "overrides", "pipeline_runs", "red_verdicts", "tombstones"]
