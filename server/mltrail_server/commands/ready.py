"""`mltrail-server ready`: ask a running server whether it can work, for health checks and for scripts that wait."""

import argparse
import sys

from mltrail_server.settings import Settings

from .arguments import Commands, Parser

_TIMEOUT_SECONDS = 4.0
_PAUSE_SECONDS = 0.2


def add(commands: Commands, shared: Parser) -> None:
    ready = commands.add_parser("ready", parents=[shared], help="exit with 0 if a running server is ready, else with 1")
    ready.add_argument(
        "--url",
        type=_url,
        metavar="URL",
        default="http://127.0.0.1:5000/readyz",
        help="where to ask (default %(default)s)",
    )
    ready.add_argument(
        "--wait",
        type=_seconds,
        metavar="SECONDS",
        default=0,
        help="how long to keep asking if it is not ready (default %(default)s)",
    )
    ready.set_defaults(run=run)


def run(_settings: Settings, options: argparse.Namespace) -> int:
    import time

    until = time.monotonic() + options.wait
    while problem := _problem(options.url):
        if time.monotonic() >= until:
            print(f"{options.url} is not ready: {problem}", file=sys.stderr)
            return 1
        time.sleep(_PAUSE_SECONDS)
    return 0


def _problem(url: str) -> str:
    """Return what keeps the server from being ready; "" if nothing does."""
    import http.client
    from urllib.parse import urlsplit

    # Not urllib.request, which would send the call to a proxy if there is one.
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", parts.path or "/readyz")
        response = connection.getresponse()
        said = response.read(200).decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    return "" if response.status == 200 else f"{response.status} {said}"


def _url(text: str) -> str:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises if it is not a number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://127.0.0.1:5000/readyz")
    return text


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return int(text)
