"""The stand-in's URLs: tokens, users and projects here, the other nouns in modules of their own.

https://docs.gitlab.com/api/rest/
"""

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify
from werkzeug.exceptions import abort

from . import merge_requests, pipelines, repository, shapes
from .door import Door, missing

if TYPE_CHECKING:
    from .fake import FakeGitLab


def make_app(fake: "FakeGitLab") -> Flask:
    app = Flask("fake_gitlab")
    door = Door(app, fake)
    _mount_keys(app, fake)
    _mount_people(app, fake, door)
    pipelines.mount(app, fake, door)
    merge_requests.mount(app, fake, door)
    repository.mount(app, fake, door)
    return app


def _mount_keys(app: Flask, fake: "FakeGitLab") -> None:
    @app.get("/.well-known/openid-configuration")
    def discovery() -> dict[str, Any]:
        return {
            "issuer": fake.url,
            "jwks_uri": f"{fake.url}/oauth/discovery/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    @app.get("/oauth/discovery/keys")
    def jwks() -> Response:
        response = jsonify(keys=[fake.login_key.jwk, *fake.more_keys, fake.ci_key.jwk])
        response.headers["Cache-Control"] = "max-age=86400, public, must-revalidate"
        return response


def _mount_people(app: Flask, fake: "FakeGitLab", door: Door) -> None:
    @app.get("/api/v4/version")
    def version() -> dict[str, Any]:
        door.caller()
        return {"version": "18.6.0", "revision": "0123abc"}

    @app.get("/api/v4/personal_access_tokens/self")
    def token_self() -> dict[str, Any]:
        found = door.token()
        if found.kind != "personal":
            abort(400, "400 Bad request - This endpoint requires token type to be a personal access token")
        return {
            "id": 1,
            "name": "token",
            "revoked": False,
            "active": True,
            "created_at": shapes.AT,
            "scopes": found.scopes,
            "user_id": found.user.id,
            "last_used_at": None,
            "expires_at": "2027-11-21",
        }

    @app.get("/api/v4/user")
    def user() -> dict[str, Any]:
        return shapes.user(fake.url, door.caller().user) | {"bot": False}

    @app.get("/api/v4/projects/<project:ref>")
    def project(ref: str) -> dict[str, Any]:
        return shapes.project(fake.url, door.project(ref), door.token().user)

    @app.get("/api/v4/projects/<project:ref>/members/all/<int:user_id>")
    def member(ref: str, user_id: int) -> dict[str, Any]:
        found = door.project(ref)
        if user_id not in found.members:
            missing()
        return shapes.user(fake.url, fake.users[user_id]) | {"access_level": found.members[user_id], "expires_at": None}
