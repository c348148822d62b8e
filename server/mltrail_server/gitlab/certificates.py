"""When a URL's TLS certificate expires."""

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import requests

_SECONDS = 5.0


def expires(url: str) -> float | None:
    """Return when the certificate of an https URL's host expires, in seconds since 1970; None without TLS.

    It trusts the same authorities as our calls do, REQUESTS_CA_BUNDLE included. Raises OSError if the host can't be
    reached, or its certificate is not valid here.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        return None
    authorities = requests.Session().merge_environment_settings(url, {}, None, None, None)["verify"]
    place = authorities if isinstance(authorities, str) else requests.utils.DEFAULT_CA_BUNDLE_PATH
    folder = Path(place).is_dir()
    context = ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
    with (
        socket.create_connection((parts.hostname, parts.port or 443), timeout=_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=parts.hostname) as wrapped,
    ):
        found = wrapped.getpeercert() or {}
    return float(ssl.cert_time_to_seconds(str(found["notAfter"])))
