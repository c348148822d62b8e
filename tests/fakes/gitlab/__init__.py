"""A stand-in for GitLab: real HTTP, GitLab's answers, and detectors for what a note would have set off.

It holds what mltrail asks for and nothing more. `tests/contract/test_fake_gitlab.py` holds its answers against GitLab's
own JSON schemas.
"""

from .fake import FakeGitLab
from .state import Application, Job, MergeRequest, Note, Pipeline, Project, User

__all__ = ["Application", "FakeGitLab", "Job", "MergeRequest", "Note", "Pipeline", "Project", "User"]
