"""The doctor's checks of the way to this server: does the external URL lead here, and does a proxy change calls?"""

import secrets
from collections.abc import Iterator

import requests

from mltrail_server.domain.clock import system_clock
from mltrail_server.domain.errors import conflict
from mltrail_server.settings import Settings

from .checks import Check, Doubt, Skip
from .doctor_gitlab import certificate

_SECONDS = 5.0
_LARGE = 100_000_000
_CALL = "/api/v4/projects/1/ml/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0"


class ProxyChecks:
    def __init__(self, settings: Settings) -> None:
        self._url = settings.external_url.rstrip("/")
        self._reachable = True

    def all(self) -> Iterator[Check]:
        yield "external URL", self._reached
        yield "external URL's certificate", lambda: certificate(self._url, system_clock)
        yield "Authorization header", self._authorization
        yield "large uploads", self._large
        yield "metrics from outside", self._metrics

    def _reached(self) -> str:
        sent = f"doctor-{secrets.token_hex(6)}"
        response = self._get("/readyz", {"X-Request-Id": sent})
        came_back = response.headers.get("X-Request-Id", "")
        if not came_back:
            raise conflict(
                f"{self._url}/readyz returns {response.status_code}, but not from mltrail: compare "
                "MLTRAIL_EXTERNAL_URL with the proxy's settings"
            )
        if response.status_code != 200:
            raise conflict(f"{self._url}/readyz returns {response.status_code}: {response.text.strip()[:200]}")
        if came_back != sent:
            raise Doubt(f"{self._url} leads to an mltrail server, but a proxy replaces X-Request-Id")
        return f"{self._url} leads to an mltrail server that is ready"

    def _authorization(self) -> str:
        # An unknown token and none are refused in different words. Sent as a JWT, it is refused without asking GitLab.
        with_token = self._get(_CALL, {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30.x"})
        without = self._get(_CALL, {})
        if with_token.status_code == without.status_code and _message(with_token) == _message(without):
            raise conflict(
                "the server refuses a call with a token just as it does one without: the proxy must pass on the header "
                "Authorization (nginx: proxy_set_header Authorization $http_authorization)"
            )
        return "it reaches the server"

    def _large(self) -> str:
        """Announce a large body without sending it: a proxy with a limit refuses it at once."""
        self._check_reachable()
        path = f"{self._url}/api/v4/projects/1/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/doctor"
        try:
            response = requests.put(path, data=_Nothing(_LARGE), timeout=_SECONDS, allow_redirects=False)
        except requests.RequestException:
            return f"a body of {_LARGE // 1_000_000} MB is not refused"  # it waits for the body
        if response.status_code == 413 and "X-Request-Id" not in response.headers:
            raise conflict(
                f"the proxy refuses a body of {_LARGE // 1_000_000} MB: raise its limit (nginx: client_max_body_size 0)"
            )
        return f"a body of {_LARGE // 1_000_000} MB is not refused for its size"

    def _metrics(self) -> str:
        if self._get("/metrics", {}).status_code == 200:
            raise conflict(
                f"everybody who can reach {self._url} can read /metrics: set MLTRAIL_METRICS_TOKEN, or don't let the "
                "proxy forward /metrics"
            )
        return "they are not public"

    def _get(self, path: str, headers: dict[str, str]) -> requests.Response:
        self._check_reachable()
        try:
            return requests.get(self._url + path, headers=headers, timeout=_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            self._reachable = False
            where = "its certificate" if isinstance(error, requests.exceptions.SSLError) else "DNS and the firewall"
            raise Doubt(
                f"{self._url} can't be reached from this machine ({type(error).__name__}). If jobs and browsers can "
                f"reach it, that is all right: run this command where they are. Otherwise check {where}"
            ) from error

    def _check_reachable(self) -> None:
        if not self._reachable:
            raise Skip("the external URL can't be reached from here")


def _message(response: requests.Response) -> object:
    try:
        return response.json().get("message")
    except (ValueError, AttributeError):
        return response.text


class _Nothing:
    """A body that announces its size and then ends."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def read(self, _size: int = -1) -> bytes:
        return b""
