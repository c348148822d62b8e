"""How a call is sent: retries, proxies, certificates, and the message if it fails."""

import json
import os
from typing import TYPE_CHECKING, Any

from . import proxies
from .errors import CommandError, server, usage
from .redaction import without_credentials
from .settings import wrong_token

if TYPE_CHECKING:
    import ssl

    import urllib3

CONNECT_SECONDS = 10
READ_SECONDS = 60
_TRIES = 4
_BACKOFF_SECONDS = 0.5

BUNDLES = ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables with a certificate authority for MLflow's client, which uses the first one that is set."""
_OWN = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
"""The client certificate of MLflow's client, for servers that require one."""


class Transport:
    """Keeps connections, one pool for each proxy: the server and GitLab may be behind different ones."""

    def __init__(self) -> None:
        self._pools: dict[tuple[proxies.Proxy | None, bool], urllib3.PoolManager] = {}

    def send(
        self,
        method: str,
        url: str,
        body: dict[str, Any] | None,
        headers: dict[str, str],
        *,
        once: bool = False,
        stream: bool = False,
        seconds: float = READ_SECONDS,
    ) -> "urllib3.BaseHTTPResponse":
        """Raises `CommandError` if there is no response; every response is returned, even a redirect."""
        import urllib3  # noqa: PLC0415 - it takes longer to load than the rest of the command

        try:
            return self._pool(url).request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers=headers | {"Accept": "application/json", "Content-Type": "application/json"},
                retries=False if once else None,
                redirect=False,
                preload_content=not stream,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds),
            )
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise unreachable(method, url, error) from error

    def _pool(self, url: str) -> "urllib3.PoolManager":
        import urllib3  # noqa: PLC0415

        proxy = proxies.of(url)
        encrypted = url.lower().startswith("https:")
        if (proxy, encrypted) in self._pools:
            return self._pools[proxy, encrypted]
        # All calls except those sent `once` can be repeated: the server responds to the second as to the first.
        retries = urllib3.Retry(
            _TRIES,
            redirect=False,
            allowed_methods=None,
            status_forcelist=(502, 503, 504),
            raise_on_status=False,
            backoff_factor=_BACKOFF_SECONDS,
        )
        options: dict[str, Any] = {"retries": retries, "ssl_context": _certificates() if encrypted else None}
        if proxy is None:
            pool = urllib3.PoolManager(**options)
        elif proxy.url.lower().startswith("socks"):
            pool = _socks(proxy, options)
        else:
            login = urllib3.make_headers(proxy_basic_auth=proxy.authorization) if proxy.authorization else {}
            pool = urllib3.ProxyManager(proxy.url, proxy_headers=login, **options)
        self._pools[proxy, encrypted] = pool
        return pool


def _socks(proxy: proxies.Proxy, options: dict[str, Any]) -> "urllib3.PoolManager":
    import warnings  # noqa: PLC0415

    try:
        with warnings.catch_warnings(action="ignore"):  # its warning says the same as our error, in more lines
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415
    except ImportError as error:
        raise usage(
            f"The proxy in {proxy.variable} ({proxy.url}) uses SOCKS, for which Python needs the package PySocks: "
            "install it (`pip install pysocks`), or add the server to NO_PROXY."
        ) from error
    user, _, password = proxy.authorization.partition(":")
    made: urllib3.PoolManager = SOCKSProxyManager(proxy.url, user or None, password or None, **options)
    return made


def _certificates() -> "ssl.SSLContext":
    """The system's authorities, or those of SSL_CERT_FILE, plus the one that is set for MLflow's client."""
    from urllib3.util.ssl_ import create_urllib3_context  # noqa: PLC0415

    context = create_urllib3_context()
    context.load_default_certs()
    for name in BUNDLES:
        path = os.environ.get(name)
        if path and os.path.exists(path):  # noqa: PTH110 - it may be a file or a folder
            try:
                context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})  # noqa: PTH112
            except (OSError, ValueError) as error:
                raise usage(f"{name} is {path}, which contains no certificates in PEM. Fix or unset it.") from error
    own = os.environ.get(_OWN)
    if own:
        try:
            context.load_cert_chain(own, password="")  # otherwise an encrypted key would prompt for a password
        except (OSError, ValueError) as error:
            raise usage(f"{_OWN} is {own}, which contains no certificate and key in PEM.") from error
    return context


def unreachable(method: str, url: str, error: Exception) -> CommandError:
    import urllib3  # noqa: PLC0415

    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    message = str(reason)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        message = str(reason.original_error)
        hint = _proxy_hint(url, message)
    elif "WRONG_VERSION_NUMBER" in message or "UNEXPECTED_MESSAGE" in message:
        hint = "The server there does not use TLS: should its URL begin with http://?"
    elif isinstance(reason, urllib3.exceptions.SSLError):
        hint = _certificate_hint()
    elif isinstance(reason, urllib3.exceptions.NameResolutionError):
        hint = "The name can't be resolved here; check the `server` input for a typing error."
    elif isinstance(reason, urllib3.exceptions.DecodeError | urllib3.exceptions.IncompleteRead):
        hint = "The response is damaged: check any proxy between this runner and the server."
    else:
        hint = "Check that this runner can reach the server, and that the server is up."
    return server(f"{method} {without_credentials(url)} failed: {message}. {hint}")


def _proxy_hint(url: str, message: str) -> str:
    proxy = proxies.of(url)
    where = f"The proxy {proxy.url}, set by {proxy.variable}," if proxy else "The proxy"
    if "407" in message:
        return f"{where} requires a user name and password: put them into that variable: http://user:password@host:port"
    return f"{where} does not let this call through. If the server needs no proxy, add it to NO_PROXY."


def _certificate_hint() -> str:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", *BUNDLES):
        path = os.environ.get(name)
        if path and not os.path.exists(path):  # noqa: PTH110
            return f"The certificate can't be verified, and {name} is {path}, which does not exist: fix or unset it."
    return (
        "The certificate can't be verified. If your organisation has a certificate authority of its own, set "
        "SSL_CERT_FILE to the authority's certificate."
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def job_token(token: str) -> dict[str, str]:
    """Raises `CommandError` for a token that can't be sent."""
    problem = wrong_token(token.strip())
    if problem:
        raise usage(f"CI_JOB_TOKEN {problem}")
    return {"JOB-TOKEN": token.strip()}
