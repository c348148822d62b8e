"""Local mode serves only this machine's own host names, so that no web page can reach it through another name."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Request

from mltrail_server.domain.errors import forbidden
from mltrail_server.settings import is_loopback

_USUAL = re.compile(r"(?:localhost|127\.0\.0\.1)(?::[0-9]{1,5})?")


def check_loopback(request: Request) -> None:
    """Raises FORBIDDEN for a host that is not this machine."""
    if _USUAL.fullmatch(request.environ.get("HTTP_HOST", "")):
        return  # avoids completing Werkzeug's request, which takes as long as all else before the handler
    host = request.host
    if not _is_loopback(host):
        name = _name_of(host)
        raise forbidden(f"Local mode serves only localhost and 127.0.0.1, not the host {name!r}.")


@lru_cache(maxsize=64)
def _is_loopback(host: str) -> bool:
    return is_loopback(_name_of(host))


def _name_of(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""
