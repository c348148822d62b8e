"""Which proxy a call uses: the same as MLflow's client, which uses requests.

https://requests.readthedocs.io/en/latest/user/advanced/#proxies
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from .errors import usage
from .redaction import credentials, without_credentials

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")


class Proxy(NamedTuple):
    """`url` contains no credentials; `authorization` is `user:password`, or empty."""

    url: str
    authorization: str
    variable: str


def of(url: str) -> Proxy | None:
    """The proxy for a URL, or None. Raises `CommandError` for one that can't be used."""
    from urllib import request  # noqa: PLC0415 - slow to load

    address = urlsplit(url)
    host = address.hostname or ""
    if bypassed(host, address.port):
        return None
    proxies = request.getproxies()
    keys = (f"{address.scheme}://{host}", address.scheme, f"all://{host}", "all")
    key = next((key for key in keys if proxies.get(key)), None)
    return None if key is None else _read(f"{key}_proxy", proxies[key].strip())


def bypassed(host: str, port: int | None) -> bool:
    """Whether NO_PROXY covers a host: by name, by suffix, by address or by network.

    curl, pip and requests understand networks; Python itself does not.
    """
    from urllib import request  # noqa: PLC0415

    proxies = request.getproxies()
    names = [name for name in proxies.get("no", "").replace(" ", "").split(",") if name]
    try:
        address = IPv4Address(host)
    except AddressValueError:
        with_port = f"{host}:{port}" if port else host
        wanted = [name.lstrip(".").lower() for name in names]
        if any(one == name or one.endswith(f".{name}") for name in wanted for one in (host, with_port)):
            return True
    else:
        if any(name == host or _contains(name, address) for name in names):
            return True
    return bool(request.proxy_bypass(host))


def _contains(name: str, address: IPv4Address) -> bool:
    """Whether a network such as 10.0.0.0/8 contains an address; requests accepts neither `/0` nor dotted masks."""
    prefix = name.partition("/")[2]
    try:
        return prefix.isdecimal() and int(prefix) > 0 and address in IPv4Network(name, strict=False)
    except ValueError:
        return False


def _read(variable: str, value: str) -> Proxy:
    """A proxy without a scheme is an HTTP proxy, as in curl and requests."""
    url = value if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", value) else f"http://{value.removeprefix('//')}"
    login = credentials(url)
    bare = without_credentials(url).rstrip("/")
    try:
        parts = urlsplit(bare)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if not host or not host.isascii() or not bare.isprintable() or " " in bare:
        raise usage(
            f"The proxy in {variable} ({bare}) is not a usable URL. It should look like http://proxy.example.com:3128"
        )
    if parts.scheme.lower() not in SCHEMES:
        raise usage(f"The proxy in {variable} ({bare}) uses {parts.scheme}. Supported are {', '.join(SCHEMES)}.")
    authorization = ":".join(map(unquote, login)) if login else ""
    return Proxy(bare, authorization, variable)
