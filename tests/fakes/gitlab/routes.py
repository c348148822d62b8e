"""The stand-in's URLs: keys here, the other nouns in modules of their own.

https://docs.gitlab.com/api/rest/
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify
from werkzeug.routing import Rule

from . import (
    gate_objects,
    hooks,
    installation,
    job_tokens,
    merge_requests,
    ml_routes,
    oauth,
    packages,
    people,
    pipelines,
    repository,
)
from .door import Door

if TYPE_CHECKING:
    from .fake import FakeGitLab


class _Rule(Rule):
    """A rule that can't build URLs, which the stand-in never needs: compiling that would take most of its start-up
    time.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        del append_unknown

        def build(_rule: Rule, **_values: str) -> tuple[str, str]:
            raise NotImplementedError(self.rule)

        return build


class _App(Flask):
    url_rule_class = _Rule


def make_app(fake: "FakeGitLab") -> Flask:
    app = _App("fake_gitlab")
    door = Door(app, fake)
    _mount_keys(app, fake)
    people.mount(app, fake, door)
    oauth.mount(app, fake, door)
    job_tokens.mount(app, fake, door)
    pipelines.mount(app, fake, door)
    pipelines.mount_bridges(app, fake, door)
    merge_requests.mount(app, fake, door)
    gate_objects.mount(app, fake, door)
    hooks.mount(app, fake, door)
    installation.mount(app, fake, door)
    repository.mount(app, fake, door)
    ml_routes.mount(app, fake, door)
    packages.mount(app, fake, door)
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
