"""Threads, statuses and issues in GitLab's shapes."""

from typing import Any

from . import shapes
from .state import Discussion, Issue, Project, User


def discussion(url: str, one: Discussion) -> dict[str, Any]:
    first, *others = [shapes.note(url, each) | {"type": "DiscussionNote"} for each in one.notes]
    resolver = shapes.user(url, one.resolved_by) if one.resolved_by else None
    first |= {"resolvable": True, "resolved": resolver is not None, "resolved_by": resolver}
    return {"id": one.id, "individual_note": False, "notes": [first, *others]}


def commit_status(url: str, sha: str, body: dict[str, Any], author: User) -> dict[str, Any]:
    return {
        "id": 1,
        "sha": sha,
        "ref": "main",
        "status": body["state"],
        "name": body["name"],
        "target_url": body.get("target_url"),
        "description": body.get("description"),
        "created_at": shapes.AT,
        "started_at": None,
        "finished_at": shapes.AT,
        "allow_failure": False,
        "coverage": None,
        "pipeline_id": body["pipeline_id"],
        "author": shapes.user(url, author),
    }


def issue(url: str, where: Project, one: Issue) -> dict[str, Any]:
    return {
        "id": 9000 + one.iid,
        "iid": one.iid,
        "project_id": where.id,
        "title": one.title,
        "description": one.description,
        "state": one.state,
        "author": shapes.user(url, one.author),
        "created_at": shapes.AT,
        "updated_at": shapes.AT,
        "labels": [],
        "web_url": f"{url}/{where.path}/-/issues/{one.iid}",
    }
