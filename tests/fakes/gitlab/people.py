"""Tokens, users, projects and members. https://docs.gitlab.com/api/projects/ and https://docs.gitlab.com/api/members/"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, redirect, request
from werkzeug.exceptions import abort

from . import shapes
from .door import Door, missing, paged, unknown

if TYPE_CHECKING:
    from .fake import FakeGitLab


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    _mount_tokens(app, fake, door)
    _mount_projects(app, fake, door)


def _mount_tokens(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get("/api/v4/version")
    def version() -> dict[str, Any]:
        door.caller()
        return {
            "version": fake.version,
            "revision": "0123abc",
            "kas": {"enabled": False, "externalUrl": None, "externalK8sProxyUrl": None, "version": None},
            "enterprise": fake.version.endswith("-ee"),
        }

    @app.get("/api/v4/metadata")
    def metadata() -> dict[str, Any]:
        return version() if fake.since("15.2") else unknown()

    @app.get("/api/v4/personal_access_tokens/self")
    def token_self() -> dict[str, Any]:
        found = door.token()
        if found.kind != "personal":
            abort(400, "400 Bad request - This endpoint requires token type to be a personal access token")
        return {
            "id": 1,
            "name": "token",
            "description": None,
            "revoked": False,
            "active": True,
            "created_at": shapes.AT,
            "scopes": found.scopes,
            "user_id": found.user.id,
            "last_used_at": None,
            "expires_at": found.expires_at,
        }

    @app.get("/api/v4/user")
    def user() -> dict[str, Any]:
        found = door.caller().user
        # Only administrators are shown that they are.
        shown = shapes.user(fake.url, found) | {"bot": found.username.endswith("bot")}
        return shown | ({"is_admin": True} if found.admin else {})

    @app.get("/api/v4/users/<int:number>")
    def other_user(number: int) -> dict[str, Any]:
        door.caller()
        return shapes.user(fake.url, fake.users.get(number) or missing("User Not Found"))


def _mount_projects(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get("/api/v4/projects")
    def projects() -> Response:
        user, asked = door.caller().user, request.args
        after, before = int(asked.get("id_after", 0)), int(asked.get("id_before", 2**62))
        level = int(asked.get("min_access_level", 0))
        found = [
            one
            for one in fake.projects.values()
            if after < one.id < before and door.sees(user, one) and one.members.get(user.id, 0) >= level
        ]
        return paged([shapes.listed_project(fake.url, one, user) for one in found])

    @app.get("/api/v4/projects/<project:ref>")
    def project(ref: str) -> Any:
        user = door.caller().user
        moved = next((one for one in fake.projects.values() if ref.lower() in one.former_paths), None)
        if moved is not None and door.sees(user, moved):
            return redirect(f"{fake.url}/api/v4/projects/{moved.id}", 301)
        return shapes.project(fake.url, door.project(ref), user)

    @app.get("/api/v4/projects/<project:ref>/members/all/<int:user_id>")
    def member(ref: str, user_id: int) -> dict[str, Any]:
        found = door.project(ref)
        invited = found.through.get(user_id) == "invited group"
        if user_id not in found.members or (invited and not fake.lists_invited_groups):
            missing()
        return shapes.member(fake.url, fake.users[user_id], found.members[user_id], found.until.get(user_id))

    @app.get("/api/v4/projects/<project:ref>/repository/tags/<path:name>")
    def tag(ref: str, name: str) -> Response:
        found = door.project(ref)
        if name not in found.tags:
            missing("Tag Not Found")
        sha = found.tags[name]
        return jsonify(
            name=name,
            message="",
            target=sha,
            commit=shapes.commit(fake.url, found.path, sha),
            release=None,
            protected=name in found.protected,
            created_at=None,
        )
