"""Local mode answers to this machine's own names only, so that no web page can reach it through a name of its own."""

from urllib.parse import urlsplit

from flask import Flask, request

from mltrail_server.domain.errors import forbidden
from mltrail_server.settings import is_loopback


def keep_to_loopback(app: Flask) -> None:
    @app.before_request
    def check() -> None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if not is_loopback(host):
            raise forbidden(f"Local mode answers to localhost and 127.0.0.1 only, not to the host {host!r}.")
