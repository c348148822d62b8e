"""What GitLab says about a pipeline: its jobs, its merge request, its child pipelines, the files that it ran on."""

__all__ = ["child_pipelines", "heads", "states", "trees"]
