"""How a call is sent: retries, proxies, certificates, and what is said when it fails."""

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
"""Variables by which MLflow's client is told of an authority; the first one that is set counts there."""
_OWN = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
"""The certificate that MLflow's client shows, for servers that ask for one."""


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
        """Raises `CommandError` when there is no answer; any answer is answered, a redirect too."""
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
        # All but those that are sent once may be repeated: the server answers a second one as it did the first.
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
        with warnings.catch_warnings(action="ignore"):  # it says the same as we do, in more lines
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415
    except ImportError as error:
        raise usage(
            f"The proxy in {proxy.variable} ({proxy.url}) speaks SOCKS, which Python needs the package PySocks for: "
            "install it (`pip install pysocks`), or name the server in NO_PROXY."
        ) from error
    user, _, password = proxy.authorization.partition(":")
    made: urllib3.PoolManager = SOCKSProxyManager(proxy.url, user or None, password or None, **options)
    return made


def _certificates() -> "ssl.SSLContext":
    """The system's authorities, or those of SSL_CERT_FILE; and the one that is set for MLflow's client, too."""
    from urllib3.util.ssl_ import create_urllib3_context  # noqa: PLC0415

    context = create_urllib3_context()
    context.load_default_certs()
    for name in BUNDLES:
        path = os.environ.get(name)
        if path and os.path.exists(path):  # noqa: PTH110 - it may be a file or a folder
            try:
                context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})  # noqa: PTH112
            except (OSError, ValueError) as error:
                raise usage(f"{name} names {path}, which holds no certificates in PEM. Fix or unset it.") from error
    own = os.environ.get(_OWN)
    if own:
        try:
            context.load_cert_chain(own, password="")  # an encrypted key would ask a person
        except (OSError, ValueError) as error:
            raise usage(f"{_OWN} names {own}, which holds no certificate and key in PEM.") from error
    return context


def unreachable(method: str, url: str, error: Exception) -> CommandError:
    import urllib3  # noqa: PLC0415

    reason = error.reason if isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason else error
    told = str(reason)
    if isinstance(reason, urllib3.exceptions.ProxyError):
        told = str(reason.original_error)
        hint = _proxy_hint(url, told)
    elif "WRONG_VERSION_NUMBER" in told or "UNEXPECTED_MESSAGE" in told:
        hint = "What answers there does not speak TLS: is the server's URL one that begins with http://?"
    elif isinstance(reason, urllib3.exceptions.SSLError):
        hint = _certificate_hint()
    elif isinstance(reason, urllib3.exceptions.NameResolutionError):
        hint = "The name can't be resolved here; check the `server` input for a typing error."
    elif isinstance(reason, urllib3.exceptions.DecodeError | urllib3.exceptions.IncompleteRead):
        hint = "The answer is damaged: check what stands between this runner and the server."
    else:
        hint = "Check that this runner can reach the server, and that the server is up."
    return server(f"{method} {without_credentials(url)} failed: {told}. {hint}")


def _proxy_hint(url: str, told: str) -> str:
    proxy = proxies.of(url)
    where = f"The proxy {proxy.url}, which {proxy.variable} names," if proxy else "The proxy"
    if "407" in told:
        return f"{where} wants a user name and password: put them into that variable, as http://user:password@host:port"
    return f"{where} does not let this call through. Name the server in NO_PROXY where it needs no proxy."


def _certificate_hint() -> str:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", *BUNDLES):
        path = os.environ.get(name)
        if path and not os.path.exists(path):  # noqa: PTH110
            return f"The certificate can't be verified, and {name} names {path}, which does not exist: fix or unset it."
    return (
        "The certificate can't be verified. If your organisation has an authority of its own, point the variable "
        "SSL_CERT_FILE to its certificate."
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def job_token(told: str) -> dict[str, str]:
    """Raises `CommandError` for a token that can't be sent."""
    problem = wrong_token(told.strip())
    if problem:
        raise usage(f"CI_JOB_TOKEN {problem}")
    return {"JOB-TOKEN": told.strip()}
