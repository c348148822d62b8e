"""Proxies and certificates: which ones MLflow's client and this command use and trust."""

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
    """`reached` says whether the server responded, `mlflow_works` whether it responded to MLflow's client. Anything odd
    that works is mentioned, but is not a problem.
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
    message = f"calls to {host} go through {proxy.url}, set by {proxy.variable}"
    bare = "://" not in spelled
    if bare:
        message += " without a scheme: Python's clients and curl read it as http://, other tools may ignore it"
    if not reached:
        message += ". The server could not be reached through it. If the server needs no proxy, add it to NO_PROXY"
    fix = f'export no_proxy="$no_proxy,{host}" NO_PROXY="$NO_PROXY,{host}"'
    if reached:
        fix = f"export {proxy.variable}={proxy.url}" if bare and not proxy.authorization else ""
    yield Check("proxy", ok=reached, message=message, fix=fix)


def _no_proxy(settings: Settings, *, reached: bool) -> Iterator[Check]:
    """Entries of NO_PROXY that are meant for the server, but that Python's clients read differently."""
    from urllib import request  # noqa: PLC0415

    host = (urlsplit(settings.server).hostname or "").lower()
    for entry in request.getproxies().get("no", "").replace(" ", ",").split(","):
        why = _misread(entry.strip(), host)
        if why:
            yield Check(
                "NO_PROXY",
                ok=reached,
                message=f"{without_credentials(entry)} does not keep calls to {host} from using the proxy: {why}.",
                fix=f'export no_proxy="$no_proxy,{host}" NO_PROXY="$NO_PROXY,{host}"',
            )


def _misread(entry: str, host: str) -> str:
    """Why an entry that is meant for the server has no effect; empty if it is not meant for the server."""
    url_of = entry.partition("://")[2].partition("/")[0].partition(":")[0].lower()
    if entry.startswith("*.") and f".{host}".endswith(entry[1:].lower()):
        return "Python's clients don't understand `*` before a name: write only the dot"
    if url_of == host or entry.strip("[]").lower() == host:
        return "it must be a name or an address, without scheme or brackets"
    inside = _inside(entry, host)
    if inside == host:
        return "Python's clients understand only IPv4 networks, written as 10.0.0.0/8"
    if inside:
        return f"it contains the server's address {inside}, but Python's clients look only at the name in the URL"
    return ""


def _inside(entry: str, host: str) -> str:
    """The host's address that is in a network."""
    import ipaddress  # noqa: PLC0415

    try:
        network = ipaddress.ip_network(entry, strict=False) if "/" in entry else None
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
    """With http://, or if everything works, none of this matters: it is mentioned, but not as a problem."""
    if variables.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in _TRUE:
        yield Check(
            "certificates",
            ok=not encrypted,
            message="With MLFLOW_TRACKING_INSECURE_TLS, MLflow's client does not check certificates: anybody in "
            "between can read the token. This command still checks them.",
            fix="unset MLFLOW_TRACKING_INSECURE_TLS",
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
                message=f"{one} is {path}, which does not exist, so no certificate can be verified with it.",
                fix=f"unset {one}",
            )
            return
    if ours and not name:
        yield Check(
            "certificates",
            ok=not matters,
            message="SSL_CERT_FILE is set, but MLflow's client does not read it: the client trusts only its own "
            "list of authorities, and yours is not on it.",
            fix='export REQUESTS_CA_BUNDLE="$SSL_CERT_FILE"',
        )
    elif ours and name and not _same(ours, variables[name]):
        yield Check(
            "certificates",
            ok=not matters,
            message=f"SSL_CERT_FILE and {name} are different files. MLflow's client trusts only the second, this "
            "command trusts both.",
            fix=f'export {name}="$SSL_CERT_FILE"',
        )


def _same(one: str, other: str) -> bool:
    import filecmp  # noqa: PLC0415

    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
