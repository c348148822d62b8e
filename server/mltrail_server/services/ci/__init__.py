"""Bring what is known and what GitLab shows into line with what happened in a pipeline."""

__all__ = ["compute", "events", "poll", "publish", "reconcile", "report", "without_pipeline"]
