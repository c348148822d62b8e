"""Proxies and certificates: where MLflow's client and this command go, and whom they trust."""

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mltrail_ci import errors, proxies
from mltrail_ci.redaction import without_credentials
from mltrail_ci.settings import Settings
from mltrail_ci.transport import BUNDLES

from . import Check

if TYPE_CHECKING:
    import ipaddress

_TRUE = {"true", "1"}


def checks(settings: Settings, variables: Mapping[str, str], *, reached: bool, mlflow_works: bool) -> Iterator[Check]:
    """`reached` tells whether the server has answered, `mlflow_works` whether it is known to have answered MLflow's
    client: what is odd but works is mentioned, and is no problem.
    """
    try:
        proxy = proxies.of(settings.server)
    except errors.CommandError as error:
        yield Check("proxy", ok=False, message=f"{error} MLflow's client can't use it either.")
        return
    if proxy is not None:
        yield from _proxy(settings, proxy, reached=reached)
        yield from _no_proxy(settings, reached=reached)
    yield from _certificates(variables, encrypted=settings.server.startswith("https:"), works=mlflow_works)


def _proxy(settings: Settings, proxy: proxies.Proxy, *, reached: bool) -> Iterator[Check]:
    spelled = next((os.environ[name] for name in (proxy.variable, proxy.variable.upper()) if os.environ.get(name)), "")
    host = urlsplit(settings.server).hostname
    told = f"calls to {host} go through {proxy.url}, which {proxy.variable} names"
    bare = "://" not in spelled
    if bare:
        told += " without a scheme: Python's clients and curl read it as http://, other tools may not read it at all"
    if not reached:
        told += ". The server was not reached that way. Where it needs no proxy, name it in NO_PROXY"
    mend = f'export no_proxy="$no_proxy,{host}" NO_PROXY="$NO_PROXY,{host}"'
    if reached:
        mend = f"export {proxy.variable}={proxy.url}" if bare and not proxy.authorization else ""
    yield Check("proxy", ok=reached, message=told, mend=mend)


def _no_proxy(settings: Settings, *, reached: bool) -> Iterator[Check]:
    """Names in NO_PROXY that mean the server, but that Python's clients read differently."""
    from urllib import request  # noqa: PLC0415

    host = (urlsplit(settings.server).hostname or "").lower()
    for told in request.getproxies().get("no", "").replace(" ", ",").split(","):
        why = _misread(told.strip(), host)
        if why:
            yield Check(
                "NO_PROXY",
                ok=reached,
                message=f"{without_credentials(told)} does not keep calls to {host} from the proxy: {why}.",
                mend=f'export no_proxy="$no_proxy,{host}" NO_PROXY="$NO_PROXY,{host}"',
            )


def _misread(told: str, host: str) -> str:
    """Why an entry that means the server does not count for it; empty where it does not mean the server."""
    url_of = told.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    if told.startswith("*.") and f".{host}".endswith(told[1:].lower()):
        return "Python's clients don't understand `*` before a name: write it with just the dot"
    if url_of == host or told.strip("[]").lower() == host:
        return "it takes a name or an address, without scheme or brackets"
    inside = _inside(told, host)
    if inside == host:
        return "Python's clients understand only networks of IPv4, written as 10.0.0.0/8"
    if inside:
        return f"the server's address {inside} lies in it, but Python's clients look only at the name in the URL"
    return ""


def _inside(told: str, host: str) -> str:
    """The host's address that lies in a network."""
    import ipaddress  # noqa: PLC0415

    try:
        network = ipaddress.ip_network(told, strict=False) if "/" in told else None
    except ValueError:
        return ""
    return next((str(one) for one in _addresses(host) if one in network), "") if network else ""


def _addresses(host: str) -> "list[ipaddress.IPv4Address | ipaddress.IPv6Address]":
    import ipaddress  # noqa: PLC0415
    import socket  # noqa: PLC0415

    try:
        found = {str(one[4][0]) for one in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return []
    return [ipaddress.ip_address(one.partition("%")[0]) for one in sorted(found)]


def _certificates(variables: Mapping[str, str], *, encrypted: bool, works: bool) -> Iterator[Check]:
    """At http:// none of it matters, nor where everything works: then it is mentioned, but not as a problem."""
    if variables.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in _TRUE:
        yield Check(
            "certificates",
            ok=not encrypted,
            message="MLFLOW_TRACKING_INSECURE_TLS keeps MLflow's client from checking certificates: anybody in between "
            "can read the token. This command still checks them.",
            mend="unset MLFLOW_TRACKING_INSECURE_TLS",
        )
        return
    matters = encrypted and not works
    ours = variables.get("SSL_CERT_FILE", "")
    name = next((one for one in BUNDLES if variables.get(one)), "")
    for one in ("SSL_CERT_FILE", name):
        path = variables.get(one, "")
        if path and not os.path.exists(path):  # noqa: PTH110
            yield Check(
                "certificates",
                ok=not matters,
                message=f"{one} names {path}, which does not exist, so no certificate can be verified with it.",
                mend=f"unset {one}",
            )
            return
    if ours and not name:
        yield Check(
            "certificates",
            ok=not matters,
            message="SSL_CERT_FILE is set, but MLflow's client does not read it: the client trusts the authorities "
            "that it comes with, and yours is not among them.",
            mend='export REQUESTS_CA_BUNDLE="$SSL_CERT_FILE"',
        )
    elif ours and name and not _same(ours, variables[name]):
        yield Check(
            "certificates",
            ok=not matters,
            message=f"SSL_CERT_FILE and {name} name different files. MLflow's client trusts only the second, this "
            "command trusts both.",
            mend=f'export {name}="$SSL_CERT_FILE"',
        )


def _same(one: str, other: str) -> bool:
    import filecmp  # noqa: PLC0415

    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
