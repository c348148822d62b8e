"""How a reader signs in to the server that it reads. None of this is ever shown."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import requests

from mltrail_server.domain.errors import invalid

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or a user name with a password. `headers` are for servers that take a token in a header of their own."""

    token: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.token or self.username or self.password or self.headers)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the credentials to a request. Without this, requests would use ~/.netrc instead of the token."""
        if self.token:
            request.headers["Authorization"] = f"Bearer {self.token}"
        elif self.username or self.password:
            requests.auth.HTTPBasicAuth(self.username.encode(), self.password.encode())(request)
        request.headers.update(self.headers)
        return request

    def plain(self, text: str) -> str:
        """Return what a server says as one short line without the token, in case the server repeats it."""
        for secret in (self.token, self.password, *self.headers.values()):
            for spelling in {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]} - {""}:
                text = text.replace(spelling, "…")
        line = " ".join(text.split())
        return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def split_credentials(url: str, given: Credentials | None = None) -> tuple[str, Credentials]:
    """Return a URL without user, password, query and final slash, and how to sign in there: as given, else as the URL
    says. A user name without a password is a token. Raises INVALID if it is not an http or https URL.
    """
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise invalid(
            "This is not the URL of a server: it must begin with https:// or http://, followed by a host name."
        )
    plain = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    name, password = unquote(parts.username or ""), unquote(parts.password or "")
    if given or not name + password:
        return plain, given or Credentials()
    return plain, Credentials(username=name, password=password) if password else Credentials(token=name)
