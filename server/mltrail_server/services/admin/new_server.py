"""The settings of a new server: what an operator answers, and secrets that are generated.

A variable that already has a value keeps it.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mltrail_server.settings import env_file
from mltrail_server.settings.secret_files import SUFFIX

WEBHOOK_PATH = "/api/webhooks/gitlab"
SIGN_IN_PATH = "/-/sign-in/callback"


class Form(StrEnum):
    COMPOSE = "compose"
    SYSTEMD = "systemd"


class Tls(StrEnum):
    """Where Docker Compose's proxy gets its certificate from; see deploy/compose/Caddyfile."""

    AUTOMATIC = "automatic"
    INTERNAL = "internal"
    OWN = "own"
    OFF = "off"


@dataclass(frozen=True, kw_only=True)
class Answers:
    form: Form
    gitlab_url: str
    external_url: str
    groups: tuple[str, ...]  # the first one's bot is the default, the others have their own
    image: str = ""  # of the server, with its version; for Compose
    tls: Tls = Tls.AUTOMATIC
    database: str = ""  # "" for the usual one of the form
    artifacts: str = ""  # the same

    @property
    def site(self) -> str:
        """The address at which the proxy serves, as Caddy wants it: without a path, and without a port, which is the
        machine's and not the container's.
        """
        host = urlsplit(self.external_url).netloc.removesuffix(f":{self.port}")
        return ":80" if self.tls is Tls.OFF else f"https://{host}"

    @property
    def port(self) -> int | None:
        return urlsplit(self.external_url).port


Value = str | Callable[[Mapping[str, str]], str]
"""A value, or a function that makes it from the values so far."""


@dataclass(frozen=True, slots=True)
class Group:
    comment: str
    values: Mapping[str, Value]


BOT = "The bot's access tokens, scope api. Renew them with: mltrail-server init --renew-bot-token"
SIGN_IN = "The OAuth application that people sign in to the pages with."
PLACES = "GitLab, this server's own URL, and the groups that can use it."
WEBHOOKS = "The secret of GitLab's webhooks."


def groups_of(answers: Answers) -> Sequence[Group]:
    """List the settings that need nothing from GitLab, in the order in which they are written."""
    namespaces = ",".join(answers.groups)
    common = (
        Group(
            PLACES,
            {
                "MLTRAIL_GITLAB_URL": answers.gitlab_url,
                "MLTRAIL_EXTERNAL_URL": answers.external_url,
                "MLTRAIL_ALLOWED_NAMESPACES": namespaces,
            },
        ),
        Group(WEBHOOKS, {"MLTRAIL_WEBHOOK_SECRET": _random}),
        Group(
            "Generated. Keep a copy in a safe place: with another key, everybody has to sign in again, and what was "
            "signed can't be verified.",
            {
                "MLTRAIL_SECRET_KEY": _random,
                "MLTRAIL_SIGNING_KEY": lambda _: _signing_key(),
                "MLTRAIL_METRICS_TOKEN": _random,
            },
        ),
    )
    return (*common, *(_of_compose(answers) if answers.form is Form.COMPOSE else _of_systemd(answers)))


def missing(group: Group, values: Mapping[str, str]) -> dict[str, str]:
    """Make the values of a group that are not there yet; one in a file of its own (X_FILE) counts as there."""
    known, made = dict(values), {}
    for name, value in group.values.items():
        if name not in known and name + SUFFIX not in known:
            made[name] = known[name] = value if isinstance(value, str) else value(known)
            env_file.written(name, made[name])  # raises for one that no settings file can hold
    return made


def _of_compose(answers: Answers) -> Sequence[Group]:
    bundled_database: dict[str, Value] = {
        "POSTGRES_PASSWORD": lambda _: secrets.token_hex(24),
        "MLTRAIL_DATABASE_URL": lambda made: (
            f"postgresql://mltrail:{made.get('POSTGRES_PASSWORD', '')}@postgres:5432/mltrail"
        ),
    }
    bundled_store: dict[str, Value] = {
        "MLTRAIL_ARTIFACTS": "s3://mltrail/files",
        "MLTRAIL_S3_ENDPOINT_URL": "http://s3:3900",
        "AWS_DEFAULT_REGION": "garage",
        "AWS_ACCESS_KEY_ID": lambda _: f"GK{secrets.token_hex(16)}",  # the form that Garage wants
        "AWS_SECRET_ACCESS_KEY": lambda _: secrets.token_hex(32),
        "GARAGE_RPC_SECRET": lambda _: secrets.token_hex(32),
    }
    own_port = answers.port is not None and answers.tls is not Tls.OFF
    port: dict[str, Value] = {"PROXY_HTTPS_PORT": str(answers.port)} if own_port else {}
    return (
        Group(
            "The database. PostgreSQL takes this password when it is first started; it can't be changed here later.",
            bundled_database,
        ),
        Group("The store for files: Garage takes these keys when it is first started.", bundled_store),
        Group(
            "The server's image, and the proxy: PROXY_TLS is automatic, internal, own or off.",
            {"SERVER_IMAGE": answers.image, "PROXY_SITE": answers.site, "PROXY_TLS": answers.tls.value, **port},
        ),
    )


def _of_systemd(answers: Answers) -> Sequence[Group]:
    files: dict[str, Value] = {"MLTRAIL_ARTIFACTS": answers.artifacts} if answers.artifacts else {}
    database = answers.database or "postgresql:///mltrail?host=/var/run/postgresql"
    return (
        Group(
            "The database, by its socket: PostgreSQL knows the user mltrail by its Unix account.",
            {"MLTRAIL_DATABASE_URL": database},
        ),
        Group("Files, and what is generated when first started.", {"MLTRAIL_DATA_DIR": "/var/lib/mltrail", **files}),
    )


def _random(_: Mapping[str, str]) -> str:
    return secrets.token_urlsafe(32)


def _signing_key() -> str:
    """Make an Ed25519 key, in PEM on one line: a settings file's values can't have several."""
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.decode().strip().replace("\n", "\\n")
