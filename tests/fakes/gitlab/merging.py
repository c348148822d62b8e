"""How merging changes a repository. https://docs.gitlab.com/user/project/merge_requests/methods/"""

import secrets
from typing import TYPE_CHECKING, Literal

from .state import Commit, MergeRequest, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab

Method = Literal["merge", "squash", "rebase", "fast-forward"]


def merge(fake: "FakeGitLab", project: Project, iid: int, how: Method) -> str:
    """Merge as one of GitLab's merge methods does, and return the target branch's new commit."""
    request = project.merge_requests[iid]
    source = fake.projects[request.source_project_id]
    head, target = source.branches[request.source_branch], project.branches[request.target_branch]
    project.commits |= {known: source.commits[known] for known in source.ancestors(head)}
    files = _merged_files(project, request, head)
    sha = head if how == "fast-forward" else secrets.token_hex(20)
    parents = (target, head) if how == "merge" else (target,)
    if how != "fast-forward":
        message = f"Merge branch '{request.source_branch}'" if how == "merge" else project.commits[head].message
        project.commits[sha] = Commit(sha, parents, files, message)
    if how == "merge":
        request.merge_commit_sha = sha
    elif how == "squash":
        request.squash_commit_sha = sha
    elif how == "rebase":
        source.branches[request.source_branch] = sha
    project.branches[request.target_branch] = sha
    request.state, request.merged = "merged", fake.clock()
    return sha


def merged_result(project: Project, iid: int) -> str:
    """Create the commit that a merged results or merge train pipeline runs on; it is on no branch."""
    request = project.merge_requests[iid]
    head, target = project.branches[request.source_branch], project.branches[request.target_branch]
    sha = secrets.token_hex(20)
    project.commits[sha] = Commit(sha, (target, head), _merged_files(project, request, head))
    return sha


def _merged_files(project: Project, request: MergeRequest, head: str) -> dict[str, str | bytes]:
    """Combine what both sides have changed since they diverged; the source wins."""
    base = project.commits[request.base_sha].files if request.base_sha in project.commits else {}
    mine, theirs = project.commits[head].files, project.commits[project.branches[request.target_branch]].files
    kept = {name: content for name, content in theirs.items() if name in mine or name not in base}
    return kept | {name: content for name, content in mine.items() if base.get(name) != content}
