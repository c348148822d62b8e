"""Logins that MLflow's client would send instead of the job's token.

The client sends its token in a header, and requests, the library it uses, replaces that header by a login from `.netrc`
or from the URL. https://requests.readthedocs.io/en/latest/user/authentication/#netrc-authentication
"""

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from mltrail_ci.redaction import credentials, without_credentials
from mltrail_ci.settings import Settings

from . import Check

_TRUE = {"true", "1"}


class Netrc(NamedTuple):
    """`entry` is `machine <host>` or `default`."""

    path: str
    entry: str
    user: str


def checks(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    yield from _netrc(settings, variables)
    yield from _url(variables)
    yield from _basic_auth(variables)
    for name in ("MLFLOW_TRACKING_AWS_SIGV4", "MLFLOW_TRACKING_AUTH"):
        value = variables.get(name, "").strip()
        if value and (name.endswith("AUTH") or value.lower() in _TRUE):
            yield Check(
                name,
                ok=False,
                message="It is set, so MLflow's client authenticates in another way instead of with the token.",
                fix=f"unset {name}",
            )


def netrc_for(host: str, variables: Mapping[str, str]) -> Netrc | None:
    """The login that requests uses for a host. Like requests, it ignores a file that can't be read or parsed."""
    import netrc  # noqa: PLC0415 - only here

    own = variables.get("NETRC")
    paths = [own] if own is not None else ["~/.netrc", "~/_netrc"]
    path = next((one for one in map(os.path.expanduser, paths) if os.path.exists(one)), None)  # noqa: PTH110
    if path is None:
        return None
    try:
        read = netrc.netrc(path)
        login = read.authenticators(host)
    except (netrc.NetrcParseError, OSError, ValueError):
        return None
    if not login or not any(login):
        return None
    return Netrc(path, f"machine {host}" if host in read.hosts else "default", login[0] or login[1] or "")


def _netrc(settings: Settings, variables: Mapping[str, str]) -> Iterator[Check]:
    host = urlsplit(settings.server).hostname or ""
    found = netrc_for(host, variables)
    if found is None:
        return
    yield Check(
        "netrc",
        ok=False,
        message=f"{found.path} has a login for {host} ({found.entry}, login {found.user or '(none)'}). MLflow's client "
        "sends that login instead of the token, so the server refuses it, or takes the job for somebody else.",
        fix="NETRC=/dev/null python train.py",
    )


def _url(variables: Mapping[str, str]) -> Iterator[Check]:
    uri = variables.get("MLFLOW_TRACKING_URI", "").strip()
    if credentials(uri) is not None:
        yield Check(
            "login in the URI",
            ok=False,
            message="MLFLOW_TRACKING_URI contains a user name or password. MLflow's client sends them instead of the "
            "token, and prints them in its errors. Change any password that was printed in a job's log.",
            fix=f"export MLFLOW_TRACKING_URI={without_credentials(uri)}",
        )


def _basic_auth(variables: Mapping[str, str]) -> Iterator[Check]:
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    path = os.path.expanduser("~/.mlflow/credentials")  # noqa: PTH111
    kept = _credentials_file(path)
    if not all(variables.get(name) or kept.get(name.lower()) for name in names):
        return
    if all(map(variables.get, names)):
        yield Check(
            "basic auth",
            ok=False,
            message="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD are set. MLflow sends them instead of the "
            "token: unset them.",
            fix="unset MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD",
        )
    else:
        yield Check(
            "basic auth",
            ok=False,
            message=f"{path} contains a user name and password. MLflow sends them instead of the token.",
            fix="mv ~/.mlflow/credentials ~/.mlflow/credentials.old",
        )


def _credentials_file(path: str) -> Mapping[str, str]:
    import configparser  # noqa: PLC0415

    read = configparser.ConfigParser(interpolation=None)
    try:
        read.read(path, encoding="utf-8")
    except (configparser.Error, OSError, ValueError):
        return {}
    return dict(read["mlflow"]) if read.has_section("mlflow") else {}
