"""Hide credentials in log lines, whoever wrote them: a library's exception may quote a URL with a password in it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import unquote

HIDDEN = "[hidden]"
_SHORTEST = 6
"""A shorter secret could be part of any word."""

_PATTERNS = (
    re.compile(r"(?<=://)[^\s/:'\"]*:[^\s/'\"]*(?=@)"),  # a URL's user and password, which may hold a @ by mistake
    re.compile(r"\bgl[a-z]{1,6}-[\w.-]{8,}", re.ASCII),  # https://docs.gitlab.com/security/tokens/#token-prefixes
    re.compile(r"(?<![\w-])eyJ[\w-]+\.eyJ[\w-]+\.?[\w-]*", re.ASCII),  # a JWT
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{6,}|(?<=\bbasic )[\w+/=]{6,}"),
    re.compile(r"(?i)(?<=-token: )[^\s'\"]+|(?<=-token': ')[^']+"),  # a header
    re.compile(
        r"(?i)(?<![\w-])(?:x-amz-(?:signature|credential|security-token)"
        r"|[\w-]*(?:token|secret|secret[_-]access[_-]key|api[_-]?key|password|signature)|code)"
        r"=(?!\[hidden])(?:'[^']*'|\"[^\"]*\"|[^\s&;'\"]+)"
    ),  # a parameter of a URL, or of libpq
)

_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITLAB_TOKEN", "PGPASSWORD")
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


def secrets_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Find secrets that are no settings of ours: the libraries that read them may quote them. OpenTelemetry's does, if
    a header is not written as it should be.
    """
    yield from (environment[name] for name in _VARIABLES if name in environment)
    for name in _HEADERS:
        for header in environment.get(name, "").split(","):
            value = header.partition("=")[2].strip() or header.strip()
            yield from (value, unquote(value), *unquote(value).split()[1:])  # without `Basic`


class Hiding:
    """Hides what looks like a credential, and the values given, which are the server's own secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        own = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        self._own = re.compile("|".join(map(re.escape, own))) if own else None

    def __call__(self, text: str) -> str:
        if self._own is not None:
            text = self._own.sub(HIDDEN, text)
        for pattern in _PATTERNS:
            text = pattern.sub(_named, text)
        return text


def _named(found: re.Match[str]) -> str:
    name, equals, _ = found[0].partition("=")
    return f"{name}={HIDDEN}" if equals and name and not name.startswith("eyJ") else HIDDEN
