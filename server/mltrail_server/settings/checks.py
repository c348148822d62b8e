"""Mistakes in the settings, with messages that say what to do."""

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mltrail_server.domain import webhook_secrets
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.source import checked_place

if TYPE_CHECKING:
    from . import Settings

_WORDS = {
    "sqlite_synchronous": ("normal", "full"),
    "refuse_finished_jobs": ("on", "off"),
    "promoted_runs": ("frozen", "open"),
    "invalid_contract": ("warn", "fail"),
    "traces_read_role": ("reporter", "developer", "maintainer"),
    "log_format": ("text", "json"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_requests": ("on", "off"),
}


_NUMBERS = (
    "quota_bytes",
    "quota_candidates",
    "quota_metric_points",
    "quota_traces",
    "body_seconds",
    "search_seconds",
    "slow_statement_ms",
    "drain_seconds",
)


def check(settings: "Settings") -> None:
    """Raise `MltrailError` for a mistake that can be found without a network."""
    for url, variable in ((settings.gitlab_url, "MLTRAIL_GITLAB_URL"), (settings.external_url, "MLTRAIL_EXTERNAL_URL")):
        if url and not _host(url):
            raise mistake(f"{variable} must be an http or https URL, such as https://host or https://host/path")
    if set("?#@\\") & set(settings.external_url):
        raise mistake("MLTRAIL_EXTERNAL_URL must be https://host or https://host/path, without ?, #, \\ or a user name")
    if any(part in ("", ".", "..") for part in settings.root_path.split("/")[1:]):
        raise mistake("the path of MLTRAIL_EXTERNAL_URL must not contain //, . or .., which browsers change")
    _check_artifacts(settings)
    _check_locations(settings)
    _check_words(settings)
    _check_secrets(settings)
    _check_combinations(settings)
    _check_spans(settings)
    _check_patterns(settings)
    if settings.local_mode:
        if settings.database_url and not settings.database_url.startswith("sqlite:"):
            raise mistake("local mode has only one user and uses only SQLite; set MLTRAIL_GITLAB_URL to serve a team")
        if settings.external_url and not is_loopback(urlsplit(settings.external_url).hostname or ""):
            raise mistake("local mode is for this machine only; set MLTRAIL_GITLAB_URL to serve other people")
    elif not settings.external_url:
        raise mistake("with MLTRAIL_GITLAB_URL set, MLTRAIL_EXTERNAL_URL must name the URL that jobs see")


def _host(url: str) -> str:
    """Return the host of an http or https URL; "" if it is not one."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises if it is not a number
    except ValueError:
        return ""
    return (parts.hostname or "") if parts.scheme in ("http", "https") else ""


def _check_artifacts(settings: "Settings") -> None:
    if settings.s3_place is None and "://" in settings.artifacts:
        raise mistake(f"MLTRAIL_ARTIFACTS must be a folder or s3://bucket/prefix, not {settings.artifacts!r}")
    if settings.s3_place is not None and not settings.s3_place[0]:
        raise mistake("MLTRAIL_ARTIFACTS names no bucket; it must look like s3://bucket/prefix")
    if settings.s3_endpoint_url and urlsplit(settings.s3_endpoint_url).scheme not in ("http", "https"):
        raise mistake(f"MLTRAIL_S3_ENDPOINT_URL must be an http or https URL, not {settings.s3_endpoint_url!r}")
    if settings.backup_s3_endpoint_url and urlsplit(settings.backup_s3_endpoint_url).scheme not in ("http", "https"):
        raise mistake(
            f"MLTRAIL_BACKUP_S3_ENDPOINT_URL must be an http or https URL, not {settings.backup_s3_endpoint_url!r}"
        )
    if settings.s3_endpoint_url and settings.s3_place is None:
        raise mistake("MLTRAIL_S3_ENDPOINT_URL is set, but MLTRAIL_ARTIFACTS is not s3://bucket/prefix")
    if settings.folder_sync not in ("on", "off"):
        raise mistake(f"MLTRAIL_FOLDER_SYNC must be on or off, not {settings.folder_sync!r}")
    if settings.s3_direct not in ("asked", "announced", "off"):
        raise mistake(f"MLTRAIL_S3_DIRECT must be asked, announced or off, not {settings.s3_direct!r}")


def _check_locations(settings: "Settings") -> None:
    for place in settings.locations:
        try:
            checked_place(f"{place}/run")
        except MltrailError as error:
            raise mistake(
                f"MLTRAIL_ARTIFACT_LOCATIONS must name places such as s3://bucket/team, not {place!r}"
            ) from error


def _check_spans(settings: "Settings") -> None:
    for variable, text, milliseconds in (
        ("MLTRAIL_KEEP_LOSERS", settings.keep_losers, settings.keep_losers_ms),
        ("MLTRAIL_TRACES_KEEP", settings.keep_traces, settings.keep_traces_ms),
    ):
        if text != "forever" and milliseconds is None:
            raise mistake(f"{variable} must be a time such as 12h, 30d or 8w, or forever, not {text!r}")


def _check_patterns(settings: "Settings") -> None:
    if not settings.redacted_patterns:
        return
    from mltrail_contract import redaction  # noqa: PLC0415 - few servers have any, and it brings the reader of YAML

    for pattern in settings.redacted_patterns:
        if problem := redaction.problem_of(pattern):
            raise mistake(f"MLTRAIL_TRACES_REDACT has the pattern {pattern[:60]!r}, which can't be used: {problem}")


def _check_words(settings: "Settings") -> None:
    for name in _NUMBERS:
        if (value := getattr(settings, name)) and not (value.isascii() and value.isdigit() and len(value) < 19):
            raise mistake(f"MLTRAIL_{name.upper()} must be a whole number, not {value!r}")
    for name, words in _WORDS.items():
        if (value := getattr(settings, name)) not in words:
            raise mistake(f"MLTRAIL_{name.upper()} must be {' or '.join(words)}, not {value!r}")


def _check_combinations(settings: "Settings") -> None:
    if settings.database_replica_url and not settings.database.startswith("postgres"):
        raise mistake(
            "MLTRAIL_DATABASE_REPLICA_URL is for PostgreSQL only; set MLTRAIL_DATABASE_URL to a PostgreSQL database, "
            "too"
        )
    hosts = {urlsplit(url).hostname for url in (settings.issuer, settings.gitlab_url)}
    if "gitlab.com" in hosts and not settings.namespaces:
        raise mistake(
            "on gitlab.com anybody could use this server with a project of their own; set MLTRAIL_ALLOWED_NAMESPACES "
            "to the groups that can use it, for example my-company"
        )


def _check_secrets(settings: "Settings") -> None:
    for url, variable in ((settings.gitlab_url, "MLTRAIL_GITLAB_URL"), (settings.oidc_issuer, "MLTRAIL_OIDC_ISSUER")):
        if "@" in url:  # messages and pages name it
            raise mistake(f"{variable} must be a URL without a user name or password")
    if not all(group and token for group, token in settings.bot_tokens.items()):
        raise mistake("MLTRAIL_GITLAB_TOKENS must look like group=token,group/subgroup=token")
    for secret in settings.webhook_secrets:
        if secret.startswith(webhook_secrets.SIGNING_PREFIX) and not webhook_secrets.key_of(secret):
            raise mistake("MLTRAIL_WEBHOOK_SECRET contains a signing token that is not whsec_ followed by base64")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine. Anybody can own a name like `127.example.com`, so only addresses count."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def mistake(message: str) -> MltrailError:
    return MltrailError(Code.INVALID, message)
