"""What a verdict rests on and leaves behind."""

__all__ = ["contracts", "jobs", "pipeline_runs", "red_verdicts", "tombstones"]
