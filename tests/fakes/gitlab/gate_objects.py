"""Threads, commit statuses and issues.

https://docs.gitlab.com/api/discussions/#merge-requests, https://docs.gitlab.com/api/commits/#commit-status and
https://docs.gitlab.com/api/issues/
"""

import hashlib
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import abort

from . import gate_shapes, shapes
from .door import DEVELOPER, MAINTAINER, REPORTER, Door, missing, paged
from .merge_requests import existing, take_body, writable
from .state import Discussion, Issue, Note, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_threads(app, fake, door)
    _mount_statuses(app, fake, door)
    _mount_issues(app, fake, door)


def _mount_threads(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = "/api/v4/projects/<project:ref>/merge_requests/<int:iid>/discussions"

    def thread(where: Project, iid: int, number: str) -> Discussion:
        return next((one for one in existing(where, iid).discussions if one.id == number), None) or missing()

    @app.get(base)
    def threads(ref: str, iid: int) -> Response:
        return paged([gate_shapes.discussion(fake.url, one) for one in existing(door.project(ref), iid).discussions])

    @app.get(f"{base}/<number>")
    def one_thread(ref: str, iid: int, number: str) -> dict[str, Any]:
        return gate_shapes.discussion(fake.url, thread(door.project(ref), iid, number))

    @app.post(base)
    def create_thread(ref: str, iid: int) -> tuple[dict[str, Any], int]:
        where = writable(door, ref)
        found = existing(where, iid)
        note = Note(fake.number("note"), take_body(fake), door.caller().user, found.id, found.iid, where.id)
        made = Discussion(hashlib.sha1(str(note.id).encode()).hexdigest(), [note])
        found.discussions.append(made)
        return gate_shapes.discussion(fake.url, made), 201

    @app.put(f"{base}/<number>")
    def resolve_thread(ref: str, iid: int, number: str) -> dict[str, Any]:
        found = thread(door.project(ref, DEVELOPER), iid, number)
        wanted = request.get_json()["resolved"]
        found.resolved_by = door.caller().user if wanted else None
        return gate_shapes.discussion(fake.url, found)

    @app.put(f"{base}/<number>/notes/<int:note>")
    def edit_thread(ref: str, iid: int, number: str, note: int) -> dict[str, Any]:
        found = thread(door.project(ref), iid, number)
        edited = next((one for one in found.notes if one.id == note), None) or missing()
        if edited.author.id != door.caller().user.id:
            abort(403, "403 Forbidden")
        edited.body = take_body(fake)
        return shapes.note(fake.url, edited)


def _mount_statuses(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.post("/api/v4/projects/<project:ref>/statuses/<sha>")
    def add_status(ref: str, sha: str) -> tuple[Response, int]:
        where, body = door.project(ref, DEVELOPER), request.get_json()
        pipeline = fake.pipelines.get(body["pipeline_id"])
        if pipeline is None or pipeline.project_id != where.id or pipeline.sha != sha:
            missing("Pipeline Not Found")
        # Changing a pipeline takes the right to push or merge to its branch (app/policies/ci/pipeline_policy.rb).
        if pipeline.ref in where.protected and door.level(where) < MAINTAINER:
            abort(403, "403 Forbidden")
        if len(body.get("description", "")) > 255:
            abort(400, "400 Bad request - description is too long")
        statuses = where.statuses.setdefault(pipeline.id, [])
        if statuses and statuses[-1][:2] == (body["name"], body["state"]):
            abort(400, f"Cannot transition status via :{body['state']} from :{body['state']}")
        statuses.append((body["name"], body["state"], body.get("description", "")))
        return jsonify(gate_shapes.commit_status(fake.url, sha, body, door.caller().user)), 201


def _mount_issues(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    base = "/api/v4/projects/<project:ref>/issues"

    @app.get(base)
    def issues(ref: str) -> Response:
        where, asked = door.project(ref), request.args
        found = [
            one
            for one in where.issues.values()
            if asked.get("state", one.state) == one.state
            and asked.get("author_id", str(one.author.id)) == str(one.author.id)
        ]
        return paged([gate_shapes.issue(fake.url, where, one) for one in reversed(found)])

    @app.post(base)
    def create_issue(ref: str) -> tuple[dict[str, Any], int]:
        where, body = door.project(ref, REPORTER), request.get_json()
        fake.titles.append(body["title"])
        made = Issue(len(where.issues) + 1, body["title"], take_body(fake, "description"), door.caller().user)
        where.issues[made.iid] = made
        return gate_shapes.issue(fake.url, where, made), 201

    @app.put(f"{base}/<int:iid>")
    def edit_issue(ref: str, iid: int) -> dict[str, Any]:
        where = door.project(ref, REPORTER)
        found = where.issues.get(iid) or missing()
        found.description = take_body(fake, "description")
        if request.get_json().get("state_event") == "close":
            found.state = "closed"
        return gate_shapes.issue(fake.url, where, found)
