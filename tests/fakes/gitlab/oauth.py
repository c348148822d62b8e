"""Web sign-in. https://docs.gitlab.com/api/oauth2/"""

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request

from .door import Door
from .state import Application, Grant, Token, User

if TYPE_CHECKING:
    from .fake import FakeGitLab

LIFETIME = 7200


def mount(app: Flask, fake: "FakeGitLab", _: Door) -> None:
    logins = _Logins(fake)
    app.add_url_rule("/oauth/authorize", "authorize", logins.authorize)
    app.add_url_rule("/oauth/token", "oauth_token", logins.token, methods=["POST"])
    app.add_url_rule("/oauth/revoke", "oauth_revoke", logins.revoke, methods=["POST"])
    app.add_url_rule("/oauth/token/info", "oauth_info", logins.info)


class _Logins:
    def __init__(self, fake: "FakeGitLab") -> None:
        self.fake = fake

    def authorize(self) -> Any:
        asked = request.args
        application = self.fake.applications.get(asked.get("client_id", ""))
        if application is None or asked.get("redirect_uri") != application.redirect_uri:
            return Response("The redirect URI included is not valid.", 400)
        if not application.secret and asked.get("code_challenge_method") != "S256":
            return Response("PKCE is required.", 400)
        scopes, visitor = asked.get("scope", "").split(), self.fake.visitor
        back = {"state": asked.get("state", "")}
        if visitor is None:
            back["error"] = "access_denied"
        elif not set(scopes) <= set(application.scopes):
            back["error"] = "invalid_scope"
        else:
            back["code"] = secrets.token_hex(32)
            self.fake.grants[back["code"]] = Grant(application, visitor, scopes, asked.get("code_challenge", ""))
        return redirect(f"{application.redirect_uri}?{urlencode(back)}")

    def token(self) -> Any:
        form = request.form
        application = self.fake.applications.get(form.get("client_id", ""))
        if application is None or form.get("client_secret", "") != application.secret:
            return _refused("invalid_client", 401)
        found = (
            self._by_code(application)
            if form.get("grant_type") == "authorization_code"
            else self._by_refresh_token(application)
        )
        return _refused("invalid_grant", 400) if found is None else self._issued(*found, application)

    def _by_code(self, application: Application) -> tuple[User, list[str]] | None:
        form = request.form
        grant = self.fake.grants.pop(form.get("code", ""), None)
        if grant is None or grant.application is not application:
            return None
        right = form.get("redirect_uri") == application.redirect_uri
        proved = not grant.challenge or grant.challenge == _challenge(form.get("code_verifier", ""))
        return (grant.user, grant.scopes) if right and proved else None

    def _by_refresh_token(self, application: Application) -> tuple[User, list[str]] | None:
        sent = request.form.get("refresh_token")
        old = next((one for one in self.fake.tokens.values() if one.refresh and one.refresh == sent), None)
        if old is None or old.revoked or old.application is not application:
            return None
        # GitLab invalidates both old tokens.
        old.revoked, old.refresh = True, None
        return old.user, old.scopes

    def revoke(self) -> Any:
        found = self.fake.tokens.get(request.form.get("token", ""))
        if found is not None:
            found.revoked, found.refresh = True, None
        return jsonify({})

    def info(self) -> Any:
        fake = self.fake
        found = fake.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if found is None or found.revoked or found.kind != "oauth" or fake.is_expired(found):
            return _refused("invalid_token", 401)
        return jsonify(
            resource_owner_id=found.user.id,
            scope=found.scopes,
            expires_in=int((found.expires or 0) - fake.clock()),
            application={"uid": found.application.client_id if found.application else None},
            created_at=int(fake.clock()),
        )

    def _issued(self, user: User, scopes: list[str], application: Application) -> Response:
        made = Token(
            secrets.token_hex(32),
            user,
            scopes,
            kind="oauth",
            expires=self.fake.clock() + LIFETIME,
            refresh=secrets.token_hex(32),
            application=application,
        )
        self.fake.tokens[made.text] = made
        return jsonify(
            access_token=made.text,
            token_type="Bearer",
            expires_in=LIFETIME,
            refresh_token=made.refresh,
            scope=" ".join(scopes),
            created_at=int(self.fake.clock()),
        )


def _refused(error: str, status: int) -> tuple[Response, int]:
    return jsonify(error=error, error_description="The request was refused."), status


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
