"""Responses in GitLab's shapes. https://docs.gitlab.com/api/rest/"""

import hashlib
from datetime import UTC, datetime
from typing import Any

from .diffs import Changed
from .state import Job, MergeRequest, Note, Pipeline, Project, User

AT = "2026-11-21T12:00:00.000Z"


def user(url: str, one: User) -> dict[str, Any]:
    return {
        "id": one.id,
        "username": one.username,
        "public_email": None,
        "name": one.username.title(),
        "state": one.state,
        "locked": False,
        "avatar_url": f"{url}/uploads/user/avatar/{one.id}/avatar.png",
        "web_url": f"{url}/{one.username}",
    }


def iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def member(url: str, one: User, level: int, until: str | None) -> dict[str, Any]:
    return user(url, one) | {
        "created_at": AT,
        "access_level": level,
        "expires_at": until,
        "membership_state": "active",
    }


def project(url: str, one: Project, viewer: User) -> dict[str, Any]:
    namespace, _, name = one.path.rpartition("/")
    level, through = one.members.get(viewer.id), one.through.get(viewer.id, "project")
    access = {"access_level": level, "notification_level": 3} if level else None
    return {
        "id": one.id,
        "description": None,
        "name": name,
        "name_with_namespace": f"{namespace} / {name}",
        "path": name,
        "path_with_namespace": one.path,
        "created_at": AT,
        "default_branch": one.default_branch,
        "visibility": one.visibility,
        "web_url": f"{url}/{one.path}",
        "archived": one.archived,
        "marked_for_deletion_on": "2026-11-28" if one.pending_deletion else None,
        "builds_access_level": one.features,
        "model_experiments_access_level": one.features,
        "model_registry_access_level": one.features,
        "public_jobs": True,
        # Members through an invited group are in neither.
        "permissions": {
            "project_access": access if through == "project" else None,
            "group_access": access if through == "group" else None,
        },
    }


def listed_project(url: str, one: Project, viewer: User) -> dict[str, Any]:
    """A project as it is in lists."""
    whole = project(url, one, viewer)
    return {name: whole[name] for name in _LISTED_PROJECT}


_LISTED_PROJECT = (
    *("id", "description", "name", "name_with_namespace", "path", "path_with_namespace", "created_at"),
    *("default_branch", "visibility", "web_url"),
)


def pipeline(url: str, path: str, one: Pipeline, status: str) -> dict[str, Any]:
    return {
        "id": one.id,
        "iid": one.iid,
        "project_id": one.project_id,
        "sha": one.sha,
        "ref": one.ref,
        "status": status,
        "source": one.source,
        "created_at": AT,
        "updated_at": AT,
        "web_url": f"{url}/{path}/-/pipelines/{one.id}",
        "before_sha": "0" * 40,
        "tag": one.tag,
        "yaml_errors": None,
        "started_at": AT,
        "finished_at": AT,
        "committed_at": None,
        "duration": 10,
        "queued_duration": 1,
        "coverage": None,
        "archived": False,
    }


def basic(one: dict[str, Any]) -> dict[str, Any]:
    """A pipeline as it is in lists and in other objects."""
    return {name: one[name] for name in _BASIC}


_BASIC = ("id", "iid", "project_id", "sha", "ref", "status", "source", "created_at", "updated_at", "web_url")


def job(url: str, path: str, one: Job, pipeline_state: str) -> dict[str, Any]:
    base = pipeline(url, path, one.pipeline, pipeline_state)
    shape = {
        "id": one.id,
        "status": one.status,
        "stage": one.stage,
        "name": one.name,
        "ref": one.pipeline.ref,
        "tag": one.pipeline.tag,
        "coverage": None,
        "allow_failure": one.allow_failure,
        "created_at": AT,
        "started_at": AT,
        "finished_at": iso(one.finished) if one.finished is not None else None,
        "erased_at": None,
        "duration": 5.0,
        "queued_duration": 0.5,
        "user": user(url, one.user),
        "commit": commit(url, path, one.pipeline.sha),
        "pipeline": basic(base),
        "web_url": f"{url}/{path}/-/jobs/{one.id}",
        "project": {"ci_job_token_scope_enabled": False},
        "artifacts": [],
        "runner": None,
        "runner_manager": None,
        "artifacts_expire_at": None,
        "archived": False,
        "tag_list": [],
    }
    return shape | ({"failure_reason": one.failure_reason} if one.failure_reason else {})


def bridge(url: str, path: str, parent: dict[str, Any], child: dict[str, Any]) -> dict[str, Any]:
    """A trigger job, as GitLab shows it."""
    return {
        "id": 900_000 + child["id"],
        "status": child["status"],
        "stage": "test",
        "name": "train",
        "ref": parent["ref"],
        "tag": parent["tag"],
        "coverage": None,
        "allow_failure": False,
        "created_at": AT,
        "started_at": AT,
        "finished_at": None,
        "erased_at": None,
        "duration": 5.0,
        "queued_duration": 0.5,
        "web_url": f"{url}/{path}/-/jobs/{900_000 + child['id']}",
        "pipeline": basic(parent),
        "downstream_pipeline": basic(child),
    }


def commit(url: str, path: str, sha: str, parents: tuple[str, ...] = (), message: str = "a change") -> dict[str, Any]:
    return {
        "id": sha,
        "short_id": sha[:8],
        "created_at": AT,
        "parent_ids": list(parents),
        "title": message.partition("\n")[0],
        "message": message,
        "author_name": "Dana",
        "author_email": "dana@example.com",
        "authored_date": AT,
        "committer_name": "Dana",
        "committer_email": "dana@example.com",
        "committed_date": AT,
        "trailers": {},
        "extended_trailers": {},
        "web_url": f"{url}/{path}/-/commit/{sha}",
    }


def merge_request(url: str, where: Project, one: MergeRequest, head: str | None) -> dict[str, Any]:
    refs = {"base_sha": one.base_sha, "head_sha": head, "start_sha": one.base_sha}
    return listed_merge_request(url, where, one, head) | {"diff_refs": refs}


def listed_merge_request(url: str, where: Project, one: MergeRequest, head: str | None) -> dict[str, Any]:
    """A merge request as it is in lists, which have no merge base."""
    return {
        "id": one.id,
        "iid": one.iid,
        "project_id": where.id,
        "title": one.title,
        "description": "",
        "state": one.state,
        "created_at": AT,
        "updated_at": AT,
        "merged_at": iso(one.merged) if one.merged is not None else None,
        "target_branch": one.target_branch,
        "source_branch": one.source_branch,
        "source_project_id": one.source_project_id,
        "target_project_id": where.id,
        "author": user(url, one.author),
        "assignee": None,
        "assignees": [],
        "reviewers": [],
        "labels": one.labels,
        "milestone": None,
        "upvotes": 0,
        "downvotes": 0,
        "draft": False,
        "work_in_progress": False,
        "merge_when_pipeline_succeeds": False,
        "user_notes_count": len(one.notes),
        "should_remove_source_branch": None,
        "force_remove_source_branch": None,
        "squash": False,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "sha": head,
        "merge_commit_sha": one.merge_commit_sha,
        "discussion_locked": one.locked or None,
        "squash_commit_sha": one.squash_commit_sha,
        "web_url": f"{url}/{where.path}/-/merge_requests/{one.iid}",
    }


def note(url: str, one: Note) -> dict[str, Any]:
    return {
        "id": one.id,
        "type": None,
        "body": one.body,
        "attachment": None,
        "author": user(url, one.author),
        "created_at": AT,
        "updated_at": AT,
        "system": False,
        "noteable_id": one.merge_request_id,
        "noteable_type": "MergeRequest",
        "resolvable": False,
        "confidential": False,
        "internal": False,
        "noteable_iid": one.merge_request_iid,
        "commands_changes": {},
    }


def diff(one: Changed) -> dict[str, Any]:
    new, gone = one.kind == "new", one.kind == "deleted"
    return {
        "old_path": one.old_path,
        "new_path": one.new_path,
        "a_mode": "0" if new else "100644",
        "b_mode": "0" if gone else "100644",
        "diff": one.text,
        "new_file": new,
        "renamed_file": one.kind == "renamed",
        "deleted_file": gone,
        "generated_file": False,
        "collapsed": False,
        "too_large": one.too_large,
    }


def tree(files: dict[str, str | bytes], folder: str, *, recursive: bool) -> list[dict[str, Any]]:
    """The entries of a folder in the repository: folders first, then files. Ids depend on the content, as in Git."""
    start = len(folder) + 1 if folder else 0
    inside = {name: content for name, content in files.items() if not folder or name.startswith(f"{folder}/")}
    found: dict[str, str] = {}
    for name in sorted(inside):
        parts = name[start:].split("/")
        for depth in range(1, (len(parts) if recursive else 1) + 1):
            path = name[:start] + "/".join(parts[:depth])
            found[path] = "blob" if path == name else "tree"
    return [
        {
            "id": _object_id(inside, path),
            "name": path.rpartition("/")[2],
            "type": kind,
            "path": path,
            "mode": "040000" if kind == "tree" else "100644",
        }
        for path, kind in sorted(found.items(), key=lambda item: (item[1] != "tree", item[0]))
    ]


def _object_id(files: dict[str, str | bytes], path: str) -> str:
    below = [
        [name.removeprefix(path), content]
        for name, content in sorted(files.items())
        if name == path or name.startswith(f"{path}/")
    ]
    return hashlib.sha1(repr(below).encode(), usedforsecurity=False).hexdigest()
