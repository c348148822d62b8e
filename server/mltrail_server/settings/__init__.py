"""All settings, and the only reader of the environment."""

import os
import re
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from mltrail_server.domain.identity import Role

from .checks import check, is_loopback, mistake
from .cleaning import cleaned
from .kept_secrets import LOCAL_TOKEN, SECRET_KEY, kept_secret
from .secret_files import SUFFIX, variables_of, with_secrets_read

if TYPE_CHECKING:
    from mltrail_contract import Outcome

__all__ = ["CALLBACK", "Settings", "is_loopback"]

CALLBACK = "/-/sign-in/callback"
"""Where GitLab's login sends browsers back to, below MLTRAIL_EXTERNAL_URL."""

_SPAN = re.compile(r"(\d{1,5})([hdw])", re.ASCII)
_UNITS_MS = {"h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def _meant(unknown: str, variables: Collection[str]) -> str:
    if unknown.removesuffix(SUFFIX) in variables:
        return "only secrets can be in files"
    import difflib  # noqa: PLC0415 - for mistakes only

    alike = difflib.get_close_matches(unknown, variables, n=1, cutoff=0.8)
    return f"did you mean {alike[0]}?" if alike else f"the known ones are {', '.join(sorted(variables))}"


def _span_ms(text: str) -> int | None:
    match = _SPAN.fullmatch(text)
    return int(match[1]) * _UNITS_MS[match[2]] if match else None


def _setting(variable: str, meaning: str, default: str = "", *, secret: bool = False) -> str:
    metadata = {"variable": variable, "meaning": meaning, "secret": secret}
    text: str = field(default=default, repr=not secret, metadata=metadata)
    return text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator configures. `from_environment` reads it; tests create it directly."""

    data_dir: str = _setting("MLTRAIL_DATA_DIR", "Folder for the embedded database and the files", "./mltrail-data")
    database_url: str = _setting(
        "MLTRAIL_DATABASE_URL",
        "Database; `postgresql://…` for a team. Unset: SQLite in the data folder",
        secret=True,
    )
    database_replica_url: str = _setting(
        "MLTRAIL_DATABASE_REPLICA_URL",
        "A read replica of the PostgreSQL database for searches, whose results are behind by its lag. Unset, or while "
        "the replica is down: searches go to the database itself",
        secret=True,
    )
    sqlite_synchronous: str = _setting(
        "MLTRAIL_SQLITE_SYNCHRONOUS",
        "`normal`: a power failure may undo SQLite's last writes, but never half of one; `full`: it undoes none, but "
        "each write waits for the disk",
        "normal",
    )
    artifacts: str = _setting(
        "MLTRAIL_ARTIFACTS", "Folder for files, or `s3://bucket/prefix`. Unset: a folder in the data folder"
    )
    artifact_locations: str = _setting(
        "MLTRAIL_ARTIFACT_LOCATIONS",
        "Places, separated by commas, at or below which experiments can store their files (`artifact_location`), such "
        "as `s3://bucket/team`. Clients read and write there with credentials of their own; this server never does. "
        "Unset: none",
    )
    folder_sync: str = _setting(
        "MLTRAIL_FOLDER_SYNC",
        "For files in a folder. `off`: a power failure may destroy those of the last half minute, and "
        "`mltrail-server check` lists them; `on`: it destroys none, but each upload waits for the disk",
        "off",
    )
    s3_endpoint_url: str = _setting(
        "MLTRAIL_S3_ENDPOINT_URL", "URL of a store that speaks S3's protocol, such as MinIO. Unset: AWS"
    )
    s3_direct: str = _setting(
        "MLTRAIL_S3_DIRECT",
        "Whether clients transfer large files directly to and from S3, by short-lived URLs. `asked`: clients that are "
        "set up to ask for it; `announced`: also MLflow 3 on its own; `off`: none",
        "asked",
    )
    external_url: str = _setting(
        "MLTRAIL_EXTERNAL_URL",
        "The URL that users and jobs see; also the audience (`aud`) that ID tokens must name. Required with GitLab",
    )
    gitlab_url: str = _setting(
        "MLTRAIL_GITLAB_URL", "The GitLab that decides who may do what; a path prefix is allowed. Unset: local mode"
    )
    gitlab_token: str = _setting(
        "MLTRAIL_GITLAB_TOKEN",
        "The bot's access token (scope `api`), for reading jobs and writing comments on merge requests",
        secret=True,
    )
    gitlab_tokens: str = _setting(
        "MLTRAIL_GITLAB_TOKENS",
        "Separate bots for some groups, as `group=token,group/subgroup=token`; the closest group counts",
        secret=True,
    )
    oidc_issuer: str = _setting("MLTRAIL_OIDC_ISSUER", "Issuer of ID tokens. Unset: the GitLab URL")
    allowed_namespaces: str = _setting(
        "MLTRAIL_ALLOWED_NAMESPACES",
        "Groups and users whose projects can use this server, separated by commas. Required if the issuer is "
        "gitlab.com. Unset: every project of the GitLab",
    )
    oauth_client_id: str = _setting(
        "MLTRAIL_OAUTH_CLIENT_ID",
        "Application ID for web login; its redirect URI is `<external URL>/-/sign-in/callback`, its scopes are "
        "`openid` and `read_api`. Unset: people sign in with a token",
    )
    oauth_client_secret: str = _setting(
        "MLTRAIL_OAUTH_CLIENT_SECRET", "Secret of that application, if it is confidential", secret=True
    )
    webhook_secret: str = _setting(
        "MLTRAIL_WEBHOOK_SECRET",
        "Secrets of GitLab's webhooks, separated by commas: the secret token set there, or from GitLab 19 on the "
        "signing token (`whsec_…`). The URL is `<external URL>/api/webhooks/gitlab`. Unset: no webhooks, which are "
        "optional",
        secret=True,
    )
    refuse_finished_jobs: str = _setting(
        "MLTRAIL_REFUSE_FINISHED_JOBS",
        "`on`: a job that has been over for two minutes can't log any more; `off`: it can until its ID token expires",
        "on",
    )
    signing_key: str = _setting(
        "MLTRAIL_SIGNING_KEY",
        "Signs the provenance of promoted versions: an Ed25519 private key in PEM, or a file that holds one. Unset: "
        "the provenance is not signed",
        secret=True,
    )
    promoted_runs: str = _setting(
        "MLTRAIL_PROMOTED_RUNS",
        "`frozen`: what was logged to a run that became a promoted version can't change any more; `open`: it can",
        "frozen",
    )
    invalid_contract: str = _setting(
        "MLTRAIL_INVALID_CONTRACT",
        "The gate's outcome if the target branch's contract file can't be read, except for a merge request that "
        "repairs it: `fail` or `warn`",
        "fail",
    )
    keep_losers: str = _setting(
        "MLTRAIL_KEEP_LOSERS",
        "How long the files of runs that lost against a promoted one are kept, such as 12h, 30d or 8w, if the contract "
        "file has no `keep:`; metrics and parameters always stay. `forever`: no files are removed",
        "forever",
    )
    keep_traces: str = _setting(
        "MLTRAIL_TRACES_KEEP",
        "How long traces are kept, such as 12h, 90d or 26w, with their spans and assessments. A contract file "
        "(`traces: {keep: …}`) can only shorten this. `forever`: only the contract file sets a limit",
        "forever",
    )
    quota_bytes: str = _setting("MLTRAIL_QUOTA_BYTES", "Most bytes of files in a project. Unset: no limit")
    quota_candidates: str = _setting("MLTRAIL_QUOTA_CANDIDATES", "Most runs in a project. Unset: no limit")
    quota_metric_points: str = _setting(
        "MLTRAIL_QUOTA_METRIC_POINTS", "Most metric values in a project. Unset: no limit"
    )
    quota_traces: str = _setting("MLTRAIL_QUOTA_TRACES", "Most traces in a project. Unset: no limit")
    traces_read_role: str = _setting(
        "MLTRAIL_TRACES_READ_ROLE",
        "The lowest role that can read traces and their assessments, which may contain what customers wrote: "
        "`reporter`, `developer` or `maintainer`. The project's own jobs always can, visitors of public projects and "
        "Guests never",
        "reporter",
    )
    traces_redact: str = _setting(
        "MLTRAIL_TRACES_REDACT",
        "Regular expressions, separated by `||`: whatever they match in traces and assessments is replaced before "
        "it is stored. They add to the contract file's (`traces: {redact: …}`), and must keep to the same limits",
    )
    body_seconds: str = _setting(
        "MLTRAIL_BODY_SECONDS",
        "How many seconds a request's body may take to arrive, plus one for each 16 KB of it; slower requests get 408. "
        "`0`: no limit",
        "20",
    )
    search_seconds: str = _setting(
        "MLTRAIL_SEARCH_SECONDS",
        "How many seconds a search may take; any other statement of a call may take three times that. `0`: no limit",
        "10",
    )
    drain_seconds: str = _setting(
        "MLTRAIL_DRAIN_SECONDS",
        "How many seconds a server that gets SIGTERM goes on serving calls while `/readyz` responds with 503, so that "
        "load balancers stop sending it calls. Then it finishes the calls in progress, and exits. A second SIGTERM, "
        "or Ctrl-C, ends the wait",
        "0",
    )
    backup_recipients: str = _setting(
        "MLTRAIL_BACKUP_RECIPIENTS",
        "Public keys to encrypt backups for, separated by commas: age (`age1…`) or SSH (`ssh-ed25519 …`) keys; or "
        "a file with one per line. Unset: backups are not encrypted",
    )
    backup_identity: str = _setting(
        "MLTRAIL_BACKUP_IDENTITY",
        "File with the private key that opens encrypted backups. Only `restore` and `backup --verify` need it; keep it "
        "on another machine",
    )
    backup_s3_endpoint_url: str = _setting(
        "MLTRAIL_BACKUP_S3_ENDPOINT_URL",
        "URL of the S3-compatible store for backups. Unset: `MLTRAIL_S3_ENDPOINT_URL`, or AWS",
    )
    import_token: str = _setting(
        "MLTRAIL_IMPORT_TOKEN", "Token for the server that `import` reads from. It is never printed", secret=True
    )
    import_username: str = _setting(
        "MLTRAIL_IMPORT_USERNAME", "User name for the server or database that `import` reads from, instead of a token"
    )
    import_password: str = _setting("MLTRAIL_IMPORT_PASSWORD", "That user's password", secret=True)
    import_s3_endpoint_url: str = _setting(
        "MLTRAIL_IMPORT_S3_ENDPOINT_URL",
        "URL of the S3-compatible store that `import` reads files from. Unset: `MLTRAIL_S3_ENDPOINT_URL`, or AWS",
    )
    log_format: str = _setting(
        "MLTRAIL_LOG_FORMAT", "`text`: log lines for people; `json`: one JSON object per line", "text"
    )
    log_level: str = _setting(
        "MLTRAIL_LOG_LEVEL", "The lowest level that is logged: `debug`, `info`, `warning` or `error`", "warning"
    )
    log_requests: str = _setting(
        "MLTRAIL_LOG_REQUESTS",
        "`on`: each request is logged with its route, status, milliseconds and bytes, but without its path or query; "
        "`off`: only what goes wrong is logged",
        "off",
    )
    slow_statement_ms: str = _setting(
        "MLTRAIL_SLOW_STATEMENT_MS",
        "How many milliseconds a database statement may take before it is logged by its name, without its values. "
        "`0`: no statement is logged",
        "1000",
    )
    metrics_token: str = _setting(
        "MLTRAIL_METRICS_TOKEN",
        "Token (`Authorization: Bearer`) that `/metrics` requires. Unset: `/metrics` responds to this machine only",
        secret=True,
    )
    local_token: str = _setting(
        "MLTRAIL_LOCAL_TOKEN", "Token of local mode. Unset: generated at the first start and kept", secret=True
    )
    secret_key: str = _setting(
        "MLTRAIL_SECRET_KEY",
        "Signs browser sessions and detached runs' tokens. Unset: generated at the first start and kept",
        secret=True,
    )

    @property
    def local_mode(self) -> bool:
        return not self.gitlab_url

    @property
    def root_path(self) -> str:
        """The path of the external URL, escaped; everything is below it. "" at the root of a host."""
        return urlsplit(self.external_url).path.rstrip("/")

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir)

    @property
    def database(self) -> str:
        # Escaped: in a URL, `?` begins the options and `%` an escape.
        return self.database_url or f"sqlite:///{quote(str(self.data_path.resolve() / 'mltrail.db'))}"

    @property
    def artifacts_path(self) -> Path:
        return Path(self.artifacts) if self.artifacts else self.data_path / "artifacts"

    @property
    def s3_place(self) -> tuple[str, str] | None:
        """Bucket and prefix; None if files are in a folder."""
        if not self.artifacts.startswith("s3://"):
            return None
        bucket, _, prefix = self.artifacts.removeprefix("s3://").partition("/")
        return bucket, prefix.strip("/")

    @property
    def recipients(self) -> list[str]:
        """The public keys that backups are encrypted for. Raises INVALID if they are in a file that can't be read."""
        text = self.backup_recipients
        if not text or text.startswith(("age1", "ssh-")):
            return [one.strip() for one in text.split(",") if one.strip()]
        try:
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise mistake(
                f"MLTRAIL_BACKUP_RECIPIENTS is neither a public key nor a file that can be read: {text!r}"
            ) from error
        found = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        if not found:
            raise mistake(f"MLTRAIL_BACKUP_RECIPIENTS names a file without a public key: {text!r}")
        return found

    @property
    def locations(self) -> tuple[str, ...]:
        """Where experiments can store their files, without a trailing slash."""
        return tuple(one.strip().rstrip("/") for one in self.artifact_locations.split(",") if one.strip())

    @property
    def issuer(self) -> str:
        return (self.oidc_issuer or self.gitlab_url).rstrip("/")

    @property
    def namespaces(self) -> list[str]:
        """The groups whose projects can use this server; empty means all."""
        return [name.strip().strip("/") for name in self.allowed_namespaces.split(",") if name.strip()]

    @property
    def bot_tokens(self) -> dict[str, str]:
        """The groups' own bots: token by group."""
        pairs = (pair.partition("=") for pair in self.gitlab_tokens.split(",") if pair.strip())
        return {group.strip().strip("/"): token.strip() for group, _, token in pairs}

    @property
    def webhook_secrets(self) -> list[str]:
        return [secret.strip() for secret in self.webhook_secret.split(",") if secret.strip()]

    @property
    def secret_values(self) -> list[str]:
        """All secrets that are set, each by itself, so that the log can hide them."""
        values = [getattr(self, one.name) for one in fields(self) if one.metadata["secret"]]
        urls = (self.database_url, self.database_replica_url)
        passwords = [password for url in urls if (password := _password_of(url))]
        decoded = [unquote(password) for password in passwords]
        return [*filter(None, values), *self.bot_tokens.values(), *self.webhook_secrets, *passwords, *decoded]

    @property
    def keep_losers_ms(self) -> int | None:
        """How long losers' files are kept, in milliseconds; None means forever."""
        return _span_ms(self.keep_losers)

    @property
    def keep_traces_ms(self) -> int | None:
        """How long traces are kept at most, in milliseconds; None means forever."""
        return _span_ms(self.keep_traces)

    def quota(self, name: str) -> int | None:
        """The limit for what `store.usage` counts under this name; None for no limit."""
        limit = {
            "used_bytes": self.quota_bytes,
            "used_candidates": self.quota_candidates,
            "used_points": self.quota_metric_points,
            "used_traces": self.quota_traces,
        }[name]
        return int(limit) if limit else None

    @property
    def redacted_patterns(self) -> tuple[str, ...]:
        """The patterns of MLTRAIL_TRACES_REDACT. In one pattern, an empty alternative would match everywhere."""
        return tuple(one.strip() for one in self.traces_redact.split("||") if one.strip())

    @property
    def lowest_role_for_traces(self) -> Role:
        return Role[self.traces_read_role.upper()]

    @property
    def refuses_finished_jobs(self) -> bool:
        return self.refuse_finished_jobs == "on"

    @property
    def freezes_promoted_runs(self) -> bool:
        return self.promoted_runs == "frozen"

    @property
    def if_invalid_contract(self) -> "Outcome":
        from mltrail_contract import Outcome  # noqa: PLC0415 - few processes need it, and it takes as long as this module

        return Outcome(self.invalid_contract)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ, **given: str | None) -> "Settings":
        """Read the settings; options on the command line override variables.

        Raises `MltrailError` with every mistake that can be found without a network, including an unknown variable
        that begins with `MLTRAIL_`, which is most likely misspelt.
        """
        variables = {one.metadata["variable"]: one.name for one in fields(cls)}
        environment = with_secrets_read(environment, cls._secret_variables())
        unknown = sorted(name for name in environment if name.startswith("MLTRAIL_") and name not in variables)
        if unknown:
            raise mistake(f"unknown setting {unknown[0]}; {_meant(unknown[0], variables)}")
        read = {variables[name]: value for name, value in environment.items() if name in variables}
        read |= {name: value for name, value in given.items() if value}
        names = {name: variable for variable, name in variables.items()}
        values = {name: cleaned(name, names[name], value) for name, value in read.items()}
        settings = cls(**{name: value for name, value in values.items() if value})
        check(settings)
        return settings

    def to_environment(self) -> dict[str, str]:
        """Turn the settings into variables, for a child process that should have the same ones."""
        return {one.metadata["variable"]: getattr(self, one.name) for one in fields(self) if getattr(self, one.name)}

    def export(self, environment: MutableMapping[str, str]) -> None:
        """Replace the settings in an environment by these. Secrets from files become variables."""
        for variable in variables_of(self._secret_variables()):
            environment.pop(variable, None)
        environment.update(self.to_environment())

    @classmethod
    def _secret_variables(cls) -> set[str]:
        return {one.metadata["variable"] for one in fields(cls) if one.metadata["secret"]}

    def with_kept_secrets(self) -> "Settings":
        """Fill in secrets that are not set from the data folder, where they are generated at the first start."""
        local_token = self.local_token or (kept_secret(self.data_path / LOCAL_TOKEN) if self.local_mode else "")
        return replace(
            self, local_token=local_token, secret_key=self.secret_key or kept_secret(self.data_path / SECRET_KEY)
        )


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:  # it is no URL
        return ""
