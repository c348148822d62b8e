"""Jobs, pipelines and merge requests of GitLab, and what was published there."""

__all__ = ["child_pipelines", "due", "gate", "jobs", "merge_requests", "pipelines", "posts", "refusals", "webhooks"]
