"""Merge requests and their notes. https://docs.gitlab.com/api/merge_requests/ and https://docs.gitlab.com/api/notes/"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import abort

from . import detectors, diffs, shapes
from .door import MAINTAINER, REPORTER, Door, missing, paged
from .state import MergeRequest, Note, Project

if TYPE_CHECKING:
    from .fake import FakeGitLab

_FILTERS = ("source_branch", "target_branch", "state")


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_requests(app, fake, door)
    _mount_approvals(app, fake, door)
    _mount_notes(app, fake, door)


def existing(where: Project, iid: int) -> MergeRequest:
    return where.merge_requests.get(iid) or missing()


def writable(door: Door, ref: str) -> Project:
    """A project in which the caller can write notes."""
    where = door.project(ref, REPORTER)
    if where.archived:
        abort(403, "403 Forbidden")
    return where


def _mount_requests(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    def listed(where: Project, one: MergeRequest) -> dict[str, Any]:
        return shapes.listed_merge_request(fake.url, where, one, fake.head_of(one))

    def diff_of(where: Project, one: MergeRequest) -> diffs.Diff:
        """What GitLab kept of the changes when the head was pushed."""
        sides = [where.commits[sha].files if sha in where.commits else {} for sha in (one.base_sha, fake.head_of(one))]
        return diffs.between(*sides, fake.diff_limits)

    def wanted(one: MergeRequest) -> bool:
        asked = {name: request.args[name] for name in _FILTERS if request.args.get(name, "all") != "all"}
        return all(getattr(one, name) == value for name, value in asked.items())

    @app.get("/api/v4/projects/<project:ref>/merge_requests")
    def merge_requests(ref: str) -> Response:
        where = door.code(ref)
        found = [one for one in where.merge_requests.values() if wanted(one)]
        return paged([listed(where, one) for one in reversed(found)])

    @app.get("/api/v4/projects/<project:ref>/merge_requests/<int:iid>")
    def merge_request(ref: str, iid: int) -> dict[str, Any]:
        where = door.code(ref)
        one = existing(where, iid)
        shape = shapes.merge_request(fake.url, where, one, fake.head_of(one))
        # There is no count for a merge request without commits, nor in the list of merge requests.
        same = one.base_sha == fake.head_of(one)
        return shape | {"changes_count": None if same else diff_of(where, one).count}

    @app.get("/api/v4/projects/<project:ref>/merge_requests/<int:iid>/commits")
    def merge_request_commits(ref: str, iid: int) -> Response:
        where = door.code(ref)
        one = existing(where, iid)
        shas = where.between(one.base_sha, fake.head_of(one) or "")
        commits = [(sha, where.commits[sha]) for sha in shas]
        return paged([shapes.commit(fake.url, where.path, sha, each.parents, each.message) for sha, each in commits])

    @app.get("/api/v4/projects/<project:ref>/merge_requests/<int:iid>/diffs")
    def merge_request_diffs(ref: str, iid: int) -> Response:
        where = door.code(ref)
        return paged([shapes.diff(one) for one in diff_of(where, existing(where, iid)).files])

    @app.get("/api/v4/projects/<project:ref>/repository/commits/<sha>/merge_requests")
    def commit_merge_requests(ref: str, sha: str) -> Response:
        where = door.code(ref)
        if sha not in where.commits:
            missing("Commit Not Found")
        found = [
            one
            for one in where.merge_requests.values()
            if wanted(one)
            and (
                sha in (one.merge_commit_sha, one.squash_commit_sha)
                or sha in where.between(one.base_sha, fake.head_of(one) or "")
            )
        ]
        return paged([listed(where, one) for one in found])


def _mount_approvals(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get("/api/v4/projects/<project:ref>/merge_requests/<int:iid>/approvals")
    def approvals(ref: str, iid: int) -> dict[str, Any]:
        one = existing(door.code(ref), iid)
        return {
            "user_has_approved": False,
            "user_can_approve": False,
            "approved": bool(one.approved_by),
            "approved_by": [{"user": shapes.user(fake.url, who), "approved_at": shapes.AT} for who in one.approved_by],
        }


def _mount_notes(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    notes = "/api/v4/projects/<project:ref>/merge_requests/<int:iid>/notes"

    def existing_note(where: Project, iid: int, number: int) -> Note:
        return next((one for one in existing(where, iid).notes if one.id == number), None) or missing()

    def own_note(ref: str, iid: int, number: int) -> Note:
        where = door.code(ref)
        note = existing_note(where, iid, number)
        if note.author.id != door.caller().user.id and door.level(where) < MAINTAINER:
            abort(403, "403 Forbidden")
        return note

    @app.get(notes)
    def notes_of(ref: str, iid: int) -> Response:
        found = existing(door.code(ref), iid).notes
        ordered = found if request.args.get("sort") == "asc" else found[::-1]
        return paged([shapes.note(fake.url, one) for one in ordered])

    @app.get(f"{notes}/<int:number>")
    def note(ref: str, iid: int, number: int) -> dict[str, Any]:
        return shapes.note(fake.url, existing_note(door.code(ref), iid, number))

    @app.post(notes)
    def create_note(ref: str, iid: int) -> tuple[Response, int]:
        where = writable(door, ref)
        found = existing(where, iid)
        body = take_body(fake)
        if detectors.only_quick_actions(body):
            return jsonify(commands_changes={}, summary=[f"Ran {name}." for name in detectors.quick_actions(body)]), 202
        made = Note(fake.number("note"), body, door.caller().user, found.id, found.iid, where.id)
        found.notes.append(made)
        return jsonify(shapes.note(fake.url, made)), 201

    @app.put(f"{notes}/<int:number>")
    def update_note(ref: str, iid: int, number: int) -> dict[str, Any]:
        found = own_note(ref, iid, number)
        found.body = take_body(fake)
        return shapes.note(fake.url, found)

    @app.delete(f"{notes}/<int:number>")
    def delete_note(ref: str, iid: int, number: int) -> tuple[str, int]:
        found = own_note(ref, iid, number)
        existing(door.code(ref), iid).notes.remove(found)
        return "", 204


def take_body(fake: "FakeGitLab", name: str = "body") -> str:
    """Process a note's body as GitLab would, and record what it would have done."""
    body: str = (request.get_json(silent=True) or request.form).get(name, "")
    if not body.strip():
        abort(400, "400 Bad request - Note can't be blank")
    if len(body) > 1_000_000:
        abort(400, "400 Bad request - Note is too long (maximum is 1000000 characters)")
    fake.bodies.append(body)
    return body
