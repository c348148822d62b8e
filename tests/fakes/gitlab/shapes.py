"""Answers in GitLab's shapes. https://docs.gitlab.com/api/rest/"""

from typing import Any

from .state import Job, MergeRequest, Note, Pipeline, Project, User

AT = "2026-11-21T12:00:00.000Z"


def user(url: str, one: User) -> dict[str, Any]:
    return {
        "id": one.id,
        "username": one.username,
        "public_email": None,
        "name": one.username.title(),
        "state": "active",
        "locked": False,
        "avatar_url": f"{url}/uploads/user/avatar/{one.id}/avatar.png",
        "web_url": f"{url}/{one.username}",
    }


def project(url: str, one: Project, level: int | None) -> dict[str, Any]:
    namespace, _, name = one.path.rpartition("/")
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
        "permissions": {"project_access": access, "group_access": None},
    }


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


def job(url: str, path: str, one: Job, pipeline_state: str) -> dict[str, Any]:
    base = pipeline(url, path, one.pipeline, pipeline_state)
    basic = ("id", "iid", "project_id", "sha", "ref", "status", "source", "created_at", "updated_at", "web_url")
    shape = {
        "id": one.id,
        "status": one.status,
        "stage": one.stage,
        "name": one.name,
        "ref": one.pipeline.ref,
        "tag": one.pipeline.tag,
        "coverage": None,
        "allow_failure": False,
        "created_at": AT,
        "started_at": AT,
        "finished_at": AT if one.status in ("success", "failed", "canceled") else None,
        "erased_at": None,
        "duration": 5.0,
        "queued_duration": 0.5,
        "user": user(url, one.user),
        "commit": commit(url, path, one.pipeline.sha),
        "pipeline": {name: base[name] for name in basic},
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


def commit(url: str, path: str, sha: str, parents: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "id": sha,
        "short_id": sha[:8],
        "created_at": AT,
        "parent_ids": list(parents),
        "title": "a change",
        "message": "a change",
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
    return {
        "id": one.id,
        "iid": one.iid,
        "project_id": where.id,
        "title": one.title,
        "description": "",
        "state": one.state,
        "created_at": AT,
        "updated_at": AT,
        "merged_at": AT if one.state == "merged" else None,
        "target_branch": one.target_branch,
        "source_branch": one.source_branch,
        "source_project_id": one.source_project_id,
        "target_project_id": where.id,
        "author": user(url, one.author),
        "labels": [],
        "draft": False,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "sha": head,
        "merge_commit_sha": one.merge_commit_sha,
        "squash_commit_sha": None,
        "web_url": f"{url}/{where.path}/-/merge_requests/{one.iid}",
        "diff_refs": {"base_sha": one.base_sha, "head_sha": head, "start_sha": one.base_sha},
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
