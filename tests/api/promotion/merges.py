"""A merge request that is reviewed, and its merge by each of GitLab's methods."""

from typing import Any

from tests.api.trail import SHAS, Trail
from tests.fakes.gitlab import MergeRequest, Pipeline

CHANGE = {"src/train.py": "learn faster"}


def open_request(trail: Trail) -> MergeRequest:
    gitlab, project = trail.team.gitlab, trail.team.project
    gitlab.add_commit(project, SHAS["b"], branch="main", files={"README.md": "hello", "src/train.py": "learn"})
    gitlab.add_commit(project, SHAS["c"], parents=(SHAS["b"],), branch="faster", files=CHANGE)
    return gitlab.add_merge_request(project, "faster", "main", "Learn faster")


def elsewhere(trail: Trail, name: str = "README.md") -> None:
    """Somebody else's change arrives on the target branch."""
    trail.team.gitlab.add_commit(trail.team.project, SHAS["d"], parents=(SHAS["b"],), branch="main", files={name: "x"})


def merged(trail: Trail, request: MergeRequest, how: Any = "merge") -> Pipeline:
    sha = trail.team.gitlab.merge(trail.team.project, request.iid, how)
    return trail.team.gitlab.add_pipeline(trail.team.project, sha, "main", "push")
