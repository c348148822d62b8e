"""Where a server may send an import for a file, such as to the bucket that it is stored in.

An import runs where more can be reached than whoever wrote the history can reach: the addresses where clouds give out
credentials, and services of this machine and its network that trust who is inside. So a redirect must not lead further
inside than the server itself is.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

_PUBLIC, _PRIVATE, _THIS_MACHINE, _LINK_LOCAL = range(4)


def leads_inside(server: str, there: str) -> bool:
    """Return whether a URL is of a place that is closer to this machine than the server is."""
    host, other = _host(server), _host(there)
    return host != other and _depth(other) > _depth(host)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def _depth(host: str) -> int:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return _PUBLIC  # it can't be reached, or only by a proxy that knows it
    return max(_depth_of(ipaddress.ip_address(str(address[0]).partition("%")[0])) for *_, address in found)


def _depth_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_link_local:
        return _LINK_LOCAL
    if address.is_loopback or address.is_unspecified:
        return _THIS_MACHINE
    return _PUBLIC if address.is_global else _PRIVATE
