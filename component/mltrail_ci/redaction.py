"""Keep credentials out of everything that is printed or written.

More people can read a job's log and artifacts than its variables. There are two safeguards: user name and password are
removed from every URL, and the secret values in this environment are hidden wherever they appear, in any spelling.
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence

HIDDEN = "[hidden]"

SECRETS = ("MLTRAIL_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD", "CI_JOB_TOKEN")
"""Variables whose value is a secret."""

_URLS = re.compile(r"MLFLOW_\w*URI|MLTRAIL_SERVER|\w+_PROXY|\w*INDEX_URL|CI_API_V4_URL", re.IGNORECASE)
"""Variables with URLs that are printed, or that other programs print in their errors."""

_SHORTEST = 6
_SHORTEST_WORD = 12  # hiding a password such as `postgres` would break URLs in files
_SHORTEST_USER = 16
_IN_URL = re.compile(r"://[^\s/?#\"'<>]*@")
_IN_QUOTED_URL = re.compile(r"(?<=%3A%2F%2F)(?:(?!%2F|%3F|%23)[^\s&/?#\"'<>])*%40", re.IGNORECASE)
_BEFORE_HOST = re.compile(r"(?:[a-z][\w+.-]*:(?=/))?/*", re.IGNORECASE)
"""What may be before the login instead of `://`: nothing, `//`, or a scheme with one slash too few."""
_IN_QUERY = re.compile(
    r"[?&;#](?:[\w.-]*(?:token|secret|password|signature|credential|api_?key|access_?key)[\w.-]*|sig)=([^\s&;#]+)",
    re.IGNORECASE,
)
_NO_SECRETS = frozenset({"gitlab-ci-token", "oauth2", "x-oauth-basic", "x-token-auth", "__token__"})


def hidden(text: str) -> str:
    """The text without credentials."""
    for secret in sorted(_secrets(os.environ, sys.argv), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _IN_QUOTED_URL.sub("", _IN_URL.sub("://", text))


def without_credentials(url: str) -> str:
    """A URL without user name and password, even if they are not encoded as they should be."""
    scheme, separator, rest = url.partition("://")
    return scheme + separator + rest[len(_credentials(rest)) :] if separator else url


def credentials(url: str) -> tuple[str, str] | None:
    """User name and password in a URL, as they are written there."""
    found = _credentials(url.partition("://")[2])
    user, _, password = found.removesuffix("@").partition(":")
    return (user, password) if found else None


def _credentials(rest: str) -> str:
    """Everything before the host, including the `@`.

    `/`, `?`, `#` and `@` in a password should be encoded, but often are not. So if there is a login, or if what looks
    like host and port can't be one, the login ends at the last `@`.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    end = rest[len(authority) :][:1]
    port = authority.rpartition(":")[2] if ":" in authority and not authority.endswith("]") else ""
    is_login = "@" in authority or end in {"?", "#"} or (port != "" and not port.isdecimal())
    return rest[: rest.rindex("@") + 1] if is_login and "@" in rest else ""


def _secrets(environment: Mapping[str, str], arguments: Sequence[str]) -> set[str]:
    found = {environment.get(name, "") for name in SECRETS}
    for value in (*(value for name, value in environment.items() if _URLS.fullmatch(name)), *arguments):
        if "@" in value:
            found.update(_of_urls(value if "://" in value else _BEFORE_HOST.sub("http://", value, count=1)))
        found.update(_IN_QUERY.findall(value))
    return {form for secret in found for form in _spellings(secret) if not _is_word(form)}


def _is_word(secret: str) -> bool:
    """Whether it is too short or too common to be searched for in text. In URLs it is removed anyway."""
    return len(secret) < (_SHORTEST_WORD if secret.isalpha() and secret.islower() else _SHORTEST)


def _of_urls(value: str) -> Iterator[str]:
    for url in re.findall(r"\w://\S*@\S*", value):
        login = credentials(url)
        if login:
            user, password = login
            yield password if password not in _NO_SECRETS else ""
            # On its own, or with a placeholder as the password, the user name may be the token.
            if len(user) >= _SHORTEST_USER and user not in _NO_SECRETS and (not password or password in _NO_SECRETS):
                yield user


def _spellings(secret: str) -> Iterator[str]:
    import json  # noqa: PLC0415
    from urllib.parse import quote, unquote  # noqa: PLC0415

    for one in {secret, secret.strip(), unquote(secret), *secret.split()}:
        yield one
        yield json.dumps(one)[1:-1]
        yield repr(one)[1:-1]
        yield quote(one.encode("utf-8", "surrogatepass"), safe="")
        yield quote(one.encode("utf-8", "surrogatepass"))
