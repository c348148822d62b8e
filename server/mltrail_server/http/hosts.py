"""Local mode serves only this machine's own host names, so that no web page can reach it through another name."""

from urllib.parse import urlsplit

from flask import Flask, request

from mltrail_server.domain.errors import forbidden
from mltrail_server.settings import is_loopback


def keep_to_loopback(app: Flask) -> None:
    @app.before_request
    def check() -> None:
        host = urlsplit(f"//{request.host}").hostname or ""
        if not is_loopback(host):
            raise forbidden(f"Local mode serves only localhost and 127.0.0.1, not the host {host!r}.")
