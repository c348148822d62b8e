"""Reads GitLab's own experiments and model registry.

https://docs.gitlab.com/user/project/ml/experiment_tracking/
"""

from .reader import GitLabExperiments

__all__ = ["GitLabExperiments"]
