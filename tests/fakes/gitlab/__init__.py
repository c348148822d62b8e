"""A stand-in for GitLab: real HTTP, GitLab's responses, and detectors for what a note would have triggered.

It has only what mltrail uses. `tests/contract/test_fake_gitlab.py` compares its responses with GitLab's own JSON
schemas.
"""

from .fake import FakeGitLab
from .state import Application, Group, Job, MergeRequest, Note, Pipeline, Project, User

__all__ = ["Application", "FakeGitLab", "Group", "Job", "MergeRequest", "Note", "Pipeline", "Project", "User"]
