"""What an operator creates for a new server: applications, and the access tokens and webhooks of groups.

https://docs.gitlab.com/api/applications/, https://docs.gitlab.com/api/group_access_tokens/ and
https://docs.gitlab.com/api/group_webhooks/. GitLab's specs and its `lib/api/resource_access_tokens.rb` say which status
a refusal has: 403 for applications, 401 to those who list a group's tokens without being its owner, 400 to those who
create one; without Premium, there are no webhooks of groups.
"""

import secrets
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import abort

from . import shapes
from .door import Door, missing, paged, unknown
from .state import Application, Group, GroupToken, Hook, Token, User

if TYPE_CHECKING:
    from .fake import FakeGitLab

LONGEST_DAYS = 365
_TOKENS = "/api/v4/groups/<project:ref>/access_tokens"


class _Installation:
    def __init__(self, fake: "FakeGitLab", door: Door) -> None:
        self.fake = fake
        self.door = door

    def administrator(self) -> User:
        user = self.door.caller().user
        if not user.admin:
            abort(403, "403 Forbidden")
        return user

    def group(self, ref: str) -> Group:
        self.door.caller()
        groups = self.fake.groups.values()
        found = next((one for one in groups if ref == str(one.id) or ref.lower() == one.path.lower()), None)
        return found or missing("Group Not Found")

    def owns(self, group: Group) -> bool:
        user = self.door.caller().user
        return user.admin or user.id in group.owners

    def group_with_hooks(self, ref: str) -> Group:
        if not self.fake.premium:
            unknown()
        group = self.group(ref)
        if not self.owns(group):
            abort(403, "403 Forbidden")
        return group


def mount(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    here = _Installation(fake, door)
    _mount_applications(app, here)
    _mount_tokens(app, here)
    _mount_hooks(app, here)


def _mount_applications(app: Flask, here: _Installation) -> None:
    @app.get("/api/v4/applications")
    def applications() -> Response:
        here.administrator()
        return paged([_application(one) for one in here.fake.applications.values()])

    @app.post("/api/v4/applications")
    def create_application() -> tuple[Response, int]:
        here.administrator()
        body = request.get_json()
        secret = f"gloas-{secrets.token_hex(32)}" if body.get("confidential", True) else ""
        made = here.fake.add_application(body["redirect_uri"], scopes=body["scopes"].split(), secret=secret)
        made.name = body["name"]
        return jsonify(_application(made) | {"secret": secret}), 201

    @app.delete("/api/v4/applications/<int:number>")
    def delete_application(number: int) -> tuple[str, int]:
        here.administrator()
        found = next((one for one in here.fake.applications.values() if one.number == number), None) or missing()
        del here.fake.applications[found.client_id]
        return "", 204


def _application(one: Application) -> dict[str, Any]:
    return {
        "id": one.number,
        "application_id": one.client_id,
        "application_name": one.name,
        "callback_url": one.redirect_uri,
        "confidential": bool(one.secret),
        "scopes": one.scopes,
    }


def _mount_tokens(app: Flask, here: _Installation) -> None:
    @app.get("/api/v4/groups/<project:ref>")
    def group(ref: str) -> dict[str, Any]:
        found = here.group(ref)
        name = found.path.rpartition("/")[2]
        return {
            "id": found.id,
            "name": name,
            "path": name,
            "full_path": found.path,
            "web_url": f"{here.fake.url}/groups/{found.path}",
        }

    @app.get(_TOKENS)
    def tokens(ref: str) -> Response:
        found = here.group(ref)
        if not here.owns(found):
            abort(401, "401 Unauthorized")
        return paged([_token(one) for one in found.tokens])

    @app.post(_TOKENS)
    def create_token(ref: str) -> tuple[Response, int]:
        made = _created(here, here.group(ref), request.get_json())
        return jsonify(_token(made) | {"token": made.token.text}), 201

    @app.delete(f"{_TOKENS}/<int:number>")
    def revoke_token(ref: str, number: int) -> tuple[str, int]:
        found = here.group(ref)
        if not here.owns(found):
            abort(401, "401 Unauthorized")
        one = next((one for one in found.tokens if one.id == number), None) or missing()
        one.token.revoked = True
        return "", 204


def _created(here: _Installation, found: Group, body: dict[str, Any]) -> GroupToken:
    if not here.owns(found):
        abort(400, "400 Bad request - User does not have permission to create group access token")
    today = datetime.fromtimestamp(here.fake.clock(), UTC).date()
    if date.fromisoformat(body["expires_at"]) > today + timedelta(days=LONGEST_DAYS):
        abort(400, f"400 Bad request - Expires at must expire in {LONGEST_DAYS} days")
    bot = here.fake.add_user(f"group_{found.id}_bot_{secrets.token_hex(16)}")
    text = here.fake.add_token(bot, body["scopes"])
    made = GroupToken(
        here.fake.number("group_token"),
        body["name"],
        body["expires_at"],
        body.get("access_level", 40),
        here.fake.tokens[text],
    )
    made.token.expires_at = made.expires_at
    found.tokens.append(made)
    for project in here.fake.projects.values():
        if project.path.startswith(f"{found.path}/"):
            here.fake.add_member(project, bot, made.access_level, through="group")
    return made


def _token(one: GroupToken) -> dict[str, Any]:
    token: Token = one.token
    return {
        "id": one.id,
        "name": one.name,
        "revoked": token.revoked,
        "active": not token.revoked,
        "created_at": shapes.AT,
        "last_used_at": None,
        "expires_at": one.expires_at,
        "scopes": token.scopes,
        "user_id": token.user.id,
        "access_level": one.access_level,
    }


def _mount_hooks(app: Flask, here: _Installation) -> None:
    base = "/api/v4/groups/<project:ref>/hooks"

    @app.get(base)
    def hooks(ref: str) -> Response:
        found = here.group_with_hooks(ref)
        return paged([{"id": one.id, "url": one.url, "group_id": found.id} for one in found.hooks.values()])

    @app.post(base)
    def create_group_hook(ref: str) -> tuple[Response, int]:
        found, body = here.group_with_hooks(ref), request.get_json()
        hook = Hook(here.fake.number("hook"), body["url"], body.get("token", ""), body.get("signing_token", ""))
        found.hooks[hook.id] = hook
        return jsonify(id=hook.id, url=hook.url, group_id=found.id), 201

    @app.put(f"{base}/<int:number>")
    def update_group_hook(ref: str, number: int) -> Response:
        found, body = here.group_with_hooks(ref), request.get_json()
        hook = found.hooks.get(number) or missing()
        hook.token, hook.signing_token = body.get("token", hook.token), body.get("signing_token", hook.signing_token)
        return jsonify(id=hook.id, url=hook.url, group_id=found.id)
