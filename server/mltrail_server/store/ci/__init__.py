"""Jobs, pipelines and merge requests of GitLab, and what was published there."""

__all__ = ["child_pipelines", "due", "jobs", "merge_requests", "pipelines", "publications"]
