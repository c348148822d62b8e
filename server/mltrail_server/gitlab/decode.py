"""Decode GitLab's responses, reduced to what we use."""

from dataclasses import replace
from typing import Any

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError

from .responses import milliseconds

_BLOCKED = frozenset({"blocked", "ldap_blocked", "banned", "deactivated", "blocked_pending_approval"})


def one(got: object, what: str) -> dict[str, Any]:
    if not isinstance(got, dict):
        raise MltrailError(Code.UNAVAILABLE, f"GitLab's response for the {what} can't be read.")
    return got


def project(got: dict[str, Any]) -> gitlab_ci.GitLabProject:
    permissions = got.get("permissions") or {}
    levels = [(permissions.get(name) or {}).get("access_level") or 0 for name in ("project_access", "group_access")]
    return gitlab_ci.GitLabProject(
        got["id"],
        got["path_with_namespace"],
        got.get("default_branch"),
        got["web_url"],
        max(levels),
        archived=bool(got.get("archived")),
    )


PIPELINE_FIELDS = frozenset({"id", "sha", "ref", "source", "status", "web_url"})


def pipeline(got: dict[str, Any], *, tag: bool) -> gitlab_ci.GitLabPipeline:
    return gitlab_ci.GitLabPipeline(
        got["id"], got.get("iid"), got["sha"], got["ref"], got["source"], got["status"], got["web_url"], tag
    )


def newest_marked(jobs: list[gitlab_ci.Job]) -> list[gitlab_ci.Job]:
    newest = {job.name: job.id for job in reversed(jobs)}
    return [job if newest[job.name] == job.id else replace(job, retried=True) for job in jobs]


def job(got: dict[str, Any]) -> gitlab_ci.Job:
    return gitlab_ci.Job(
        got["id"],
        got["name"],
        got["stage"],
        got["status"],
        got["pipeline"]["id"],
        got["web_url"],
        bool(got.get("allow_failure")),
        got.get("failure_reason"),
        ref=str(got.get("ref") or ""),
        finished_ms=milliseconds(got.get("finished_at")),
        user_id=(got.get("user") or {}).get("id"),
        user_blocked=str((got.get("user") or {}).get("state", "active")) in _BLOCKED,
    )


def merge_request(got: dict[str, Any]) -> gitlab_ci.GitLabMergeRequest:
    refs = got.get("diff_refs") or {}
    return gitlab_ci.GitLabMergeRequest(
        got["iid"],
        got["title"],
        got["state"],
        got["source_branch"],
        got["target_branch"],
        got["source_project_id"],
        got.get("sha"),
        refs.get("base_sha"),
        got["web_url"],
        got.get("merge_commit_sha"),
        got.get("squash_commit_sha"),
        author_id=(got.get("author") or {}).get("id"),
        locked=bool(got.get("discussion_locked")),
        labels=tuple(str(label) for label in got.get("labels") or ()),
        merged_ms=milliseconds(got.get("merged_at")),
    )


def changed_paths(diffs: list[dict[str, Any]], request: dict[str, Any], head: str | None) -> list[str] | None:
    """Read the paths from a merge request's diffs; None if some may be missing, or if they are not those of `head`."""
    refs = request.get("diff_refs") or {}
    if head is None or (refs.get("head_sha") or request.get("sha")) != head:
        return None
    count = request.get("changes_count")
    if count is None and not diffs:
        # There is no count for a merge request without commits, or while the diff is being created.
        return [] if refs.get("base_sha") == head else None
    # The count is "1000+" for a truncated diff.
    if str(count) != str(len(diffs)):
        return None
    return _paths(diffs)


def compared_paths(got: dict[str, Any]) -> set[str] | None:
    """Read the paths from a comparison of two commits; None if it may have been truncated."""
    diffs = got.get("diffs")
    if got.get("compare_timeout") is not False or not isinstance(diffs, list):
        return None
    found = _paths(diffs)
    return None if found is None else set(found)


def _paths(diffs: list[dict[str, Any]]) -> list[str] | None:
    sides = [got.get(side) for got in diffs for side in ("old_path", "new_path")]
    return sorted({str(side) for side in sides}) if all(sides) else None
