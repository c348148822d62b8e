"""Create in GitLab what a new server needs, as far as a token allows, and say what is left to do by hand.

What is found by its name is not created again, and nothing that is in the settings is replaced. Each thing is saved as
soon as it exists, so that a failure leaves nothing in GitLab whose secret is lost.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from urllib.parse import urlsplit

from mltrail_server.domain.errors import Code, MltrailError, invalid
from mltrail_server.gitlab.connections import Connections
from mltrail_server.gitlab.probe import Probe, issuer_page
from mltrail_server.gitlab.provisioning import Application, BotToken, Group, Hook, Provisioning
from mltrail_server.settings import is_loopback
from mltrail_server.settings.env_file import EnvFile
from mltrail_server.settings.secret_files import SUFFIX

from . import new_server
from .new_server import Answers

DAYS = 364
"""GitLab allows a year; its date may be a day behind ours."""

_SOON_DAYS = 30
_NO_RIGHT = frozenset({Code.FORBIDDEN, Code.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Left:
    """Something left to do. What is `needed` must be done before the server can work."""

    what: str
    needed: bool


@dataclass
class Provision:
    """`save` puts variables into the file, below a comment. With `dry_run`, nothing is created."""

    answers: Answers
    file: EnvFile
    token: str = field(repr=False)
    save: Callable[[Mapping[str, str], str], None]
    today: date
    bot_days: int = DAYS
    renew_bot_token: bool = False
    dry_run: bool = False
    done: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sessions = Connections(self.answers.gitlab_url)
        self.host = urlsplit(self.answers.external_url).netloc
        self.redirect_uri = self.answers.external_url.rstrip("/") + new_server.SIGN_IN_PATH
        self.webhook_url = self.answers.external_url.rstrip("/") + new_server.WEBHOOK_PATH

    @property
    def bot_name(self) -> str:
        return f"mltrail ({self.host})"

    def check(self) -> None:
        """Ask GitLab who the token belongs to, and for the new groups, before anything is written.

        Raises UNAVAILABLE if this is no GitLab or can't be reached, UNAUTHENTICATED or FORBIDDEN if the token can't be
        used for anything, INVALID for a group that it does not see, which is most likely misspelt.
        """
        issuer_page(self.answers.gitlab_url)
        if not self.token:
            return
        gitlab = Provisioning(self.sessions, self.token)
        caller = gitlab.caller()
        if "api" not in caller.scopes:
            raise MltrailError(
                Code.FORBIDDEN, f"The token of {caller.name} has {', '.join(caller.scopes)}; it needs the scope api."
            )
        kept = self.file.values.get("MLTRAIL_ALLOWED_NAMESPACES", "").split(",")
        for path in self.answers.groups:
            if path not in kept:
                self._check_group(gitlab, path, caller.name)
        self.done.append(f"the token is {caller.name}'s")

    def _check_group(self, gitlab: Provisioning, path: str, caller: str) -> None:
        try:
            gitlab.group(path)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            raise invalid(
                f"GitLab has no group {path}, or does not show it to {caller}: correct its path, or use the token of "
                "an administrator or of the group's owner. Nothing was written."
            ) from error

    def run(self, *, new_webhook_secret: bool) -> None:
        """Create what is missing. Without a token, everything that is missing is left to do by hand."""
        url = urlsplit(self.answers.gitlab_url)
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            self._leave(
                "MLTRAIL_GITLAB_URL begins with http:, so anybody on the way can read tokens: use https: if your "
                "GitLab has it",
                needed=False,
            )
        gitlab = Provisioning(self.sessions, self.token) if self.token else None
        for number, path in enumerate(self.answers.groups):
            self._bot(gitlab, path, shared=number == 0)
        self._sign_in(gitlab)
        for path in self.answers.groups:
            self._webhook(gitlab, path, new_secret=new_webhook_secret)

    def _bot(self, gitlab: Provisioning | None, path: str, *, shared: bool) -> None:
        name = "MLTRAIL_GITLAB_TOKEN" if shared else "MLTRAIL_GITLAB_TOKENS"
        if name + SUFFIX in self.file.values:  # both at once are refused by the server
            self.done.append(f"left the bot's token for {path} alone, which is in the file that {name}{SUFFIX} names")
            return
        known = self._bot_token(path, shared=shared)
        if known and not self.renew_bot_token:
            self._look_at(known, path)
            return
        variable = name if shared else f"{name} ({path}=…)"
        by_hand = (
            f"Create a group access token named {self.bot_name!r}, role Developer, scope api, at "
            f"{self._page(path, 'access_tokens')}, and set {variable}"
        )
        if gitlab is None:
            self._leave(by_hand, needed=True)
            return
        expires_at = (self.today + timedelta(days=self.bot_days)).isoformat()
        try:
            group = gitlab.group(path)
            older = [one for one in gitlab.bot_tokens(group) if one.name == self.bot_name]
            if self.dry_run:
                self.done.append(f"would create the access token {self.bot_name!r} in group {path}, until {expires_at}")
                return
            made = gitlab.create_bot_token(group, self.bot_name, expires_at)
        except MltrailError as error:
            self._refused(error, by_hand, needed=True)
            return
        self._keep(
            lambda: self.save(self._with_token(path, made.text, shared=shared), new_server.BOT),
            lambda: gitlab.revoke_bot_token(group, made.id),
            f"the access token {self.bot_name!r} at {self._page(path, 'access_tokens')}",
        )
        self.done.append(
            f"created the access token {self.bot_name!r} in group {path}, which expires on {made.expires_at}"
        )
        self._name_older(older, path)

    def _name_older(self, older: list[BotToken], path: str) -> None:
        for one in older:
            self._leave(
                f"Once the server runs with the new token, revoke the old one of the same name (ID {one.id}, expires "
                f"on {one.expires_at or 'no date'}) at {self._page(path, 'access_tokens')}",
                needed=False,
            )

    def _bot_token(self, path: str, *, shared: bool) -> str:
        if shared:
            return self.file.values.get("MLTRAIL_GITLAB_TOKEN", "")
        return _pairs(self.file.values.get("MLTRAIL_GITLAB_TOKENS", "")).get(path, "")

    def _with_token(self, path: str, text: str, *, shared: bool) -> dict[str, str]:
        if shared:
            return {"MLTRAIL_GITLAB_TOKEN": text}
        pairs = _pairs(self.file.values.get("MLTRAIL_GITLAB_TOKENS", "")) | {path: text}
        return {"MLTRAIL_GITLAB_TOKENS": ",".join(f"{group}={token}" for group, token in pairs.items())}

    def _look_at(self, token: str, path: str) -> None:
        """Say when a bot's token expires, or that GitLab no longer accepts it."""
        try:
            found = Probe(self.sessions, token).token()
        except MltrailError as error:
            cause = getattr(error.__cause__, "response_code", None)
            if cause != 401:
                raise
            self._leave(f"GitLab does not accept the bot's token for {path}: add --renew-bot-token", needed=True)
            return
        self.done.append(f"kept the bot's token for {path}, which expires on {found.expires_at or 'no date'}")
        if found.expires_at and date.fromisoformat(found.expires_at) < self.today + timedelta(days=_SOON_DAYS):
            self._leave(
                f"The bot's token for {path} expires on {found.expires_at}: run this again with --renew-bot-token",
                needed=False,
            )

    def _sign_in(self, gitlab: Provisioning | None) -> None:
        if "MLTRAIL_OAUTH_CLIENT_ID" in self.file.values:
            self.done.append("kept the OAuth application")
            return
        by_hand = (
            "For a sign-in button (until then people sign in with an access token): create an application at "
            f"{self._page(self.answers.groups[0], 'applications')} with redirect URI {self.redirect_uri} and scopes "
            "openid and read_api, and set MLTRAIL_OAUTH_CLIENT_ID and MLTRAIL_OAUTH_CLIENT_SECRET"
        )
        if gitlab is None:
            self._leave(by_hand, needed=False)
            return
        try:
            existing = [one for one in gitlab.applications() if one.redirect_uri == self.redirect_uri]
            if existing:
                self._leave_existing(existing[0])
                return
            if self.dry_run:
                self.done.append(f"would create the OAuth application {self.bot_name!r}")
                return
            made = gitlab.create_application(self.bot_name, self.redirect_uri)
        except MltrailError as error:
            self._refused(
                error,
                f"{by_hand}. An administrator's token could do this; in Admin Mode it also needs the scope admin_mode",
                needed=False,
            )
            return
        variables = {"MLTRAIL_OAUTH_CLIENT_ID": made.client_id, "MLTRAIL_OAUTH_CLIENT_SECRET": made.secret}
        self._keep(
            lambda: self.save(variables, new_server.SIGN_IN),
            lambda: gitlab.delete_application(made.number),
            f"the OAuth application {self.bot_name!r} at {self.answers.gitlab_url}/admin/applications",
        )
        self.done.append(f"created the OAuth application {self.bot_name!r}")

    def _leave_existing(self, found: Application) -> None:
        page = f"{self.answers.gitlab_url}/admin/applications/{found.number}"
        self._leave(
            f"GitLab already has an application for {self.redirect_uri}, but shows its secret only once: set "
            f"MLTRAIL_OAUTH_CLIENT_ID and MLTRAIL_OAUTH_CLIENT_SECRET (renew the secret at {page}), or delete it there "
            "and run this again",
            needed=False,
        )

    def _webhook(self, gitlab: Provisioning | None, path: str, *, new_secret: bool) -> None:
        secret = self.file.values.get("MLTRAIL_WEBHOOK_SECRET", "").split(",")[0].strip()
        by_hand = (
            f"Webhooks are optional and make comments faster: in a project under Settings > Webhooks, or with GitLab "
            f"Premium at {self.answers.gitlab_url}/groups/{path}/-/hooks, add {self.webhook_url} with the secret in "
            "MLTRAIL_WEBHOOK_SECRET, for pipeline, job and merge request events"
        )
        if gitlab is None or not secret:
            self._leave(by_hand, needed=False)
            return
        try:
            self._hook(gitlab, gitlab.group(path), secret, new_secret=new_secret)
        except MltrailError as error:
            self._refused(error, by_hand, needed=False, why_not="this GitLab or this token allows no group webhooks")

    def _hook(self, gitlab: Provisioning, group: Group, secret: str, *, new_secret: bool) -> None:
        existing: list[Hook] = [one for one in gitlab.hooks(group) if one.url == self.webhook_url]
        if existing and not new_secret:
            self.done.append(f"kept the webhook of group {group.path}")
        elif self.dry_run:
            verb = "give the new secret to" if existing else "create"
            self.done.append(f"would {verb} the webhook of group {group.path}")
        elif existing:
            gitlab.update_hook(group, existing[0], secret)
            self.done.append(f"gave the new secret to the webhook of group {group.path}, which existed")
        else:
            gitlab.create_hook(group, self.webhook_url, secret)
            self.done.append(f"created a webhook in group {group.path}")

    def _keep(self, save: Callable[[], None], undo: Callable[[], None], what: str) -> None:
        """Save what was just created; if that fails, delete it again, or say that it is still there."""
        try:
            save()
        except (OSError, MltrailError) as error:
            try:
                undo()
            except MltrailError as left:
                why = error.strerror if isinstance(error, OSError) else error.message
                raise MltrailError(
                    Code.CONFLICT,
                    f"The settings can't be written ({why}), so the secret is lost that GitLab has just "
                    f"created, and GitLab refuses to take it back: delete {what} yourself.",
                ) from left
            raise

    def _refused(self, error: MltrailError, by_hand: str, *, needed: bool, why_not: str = "") -> None:
        """Leave what GitLab does not let this token do to a person."""
        if error.code not in (*_NO_RIGHT, Code.CONFLICT):
            raise error
        reason = why_not if why_not and error.code in _NO_RIGHT else error.message.rstrip(".")
        self._leave(f"{by_hand} ({reason})", needed=needed)

    def _leave(self, what: str, *, needed: bool) -> None:
        if all(one.what != what for one in self.left):
            self.left.append(Left(what, needed))

    def _page(self, group: str, name: str) -> str:
        return f"{self.answers.gitlab_url}/groups/{group}/-/settings/{name}"


def _pairs(text: str) -> dict[str, str]:
    found = (pair.partition("=") for pair in text.split(",") if pair.strip())
    return {group.strip(): token.strip() for group, _, token in found}
