"""Calls to a server that a history is read from: patient with what passes by itself, and plain about what does not.

A call is repeated, with growing pauses, after what may pass: no connection, 429 and 500 to 504, bodies that end early
or are not JSON. What still fails then is a `LostError`: one thing is lost, and its reader goes on. A server that no
longer responds, or does not let us in, is a `GoneError`, which ends the import. Neither contains a password or a token.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.transfer import GoneError

from .credentials import Credentials, split_credentials
from .patience import Patience

USER_AGENT = "mltrail"
Query = Mapping[str, str | int] | Sequence[tuple[str, str | int]]

_Result = TypeVar("_Result")
_PASSING = frozenset({429, 500, 502, 503, 504})
_MOST_IN_A_ROW = 5
_LONGEST_TEXT = 1000
_LARGEST_BODY = 64 * 1024**2
_LARGEST_REASON = 64 * 1024
_PIECE = 1024**2


class LostError(MltrailError):
    """One thing could not be read; the rest may be.

    `status` is the response's, or 0 if there was none. `error_code` is what MLflow calls the error. `passing` says that
    another try may help, after `pause` if the server asks for one in Retry-After.
    """

    def __init__(
        self, message: str, *, status: int = 0, error_code: str = "", passing: bool = False, pause: str = ""
    ) -> None:
        super().__init__(Code.UNAVAILABLE, message)
        self.status = status
        self.error_code = error_code
        self.passing = passing
        self.pause = pause


class TooLargeError(LostError):
    """A response is larger than any should be: asking for fewer things at a time may help."""


class _NoConnectionError(LostError):
    """Not even a connection: nothing else can be read either."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: its JSON, and its headers by their names in any case."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Rest:
    """A server with a JSON API. Threads can share it; each has a connection of its own.

    `url` has no credentials and no final slash. Paths are relative to it, or whole URLs below it. `verify` and
    `certificate` are what requests calls `verify` and `cert`. Methods raise LostError and GoneError.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        patience: Patience | None = None,
        verify: bool | str = True,
        certificate: str | None = None,
        timeout_seconds: tuple[float, float] = (10.0, 120.0),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.url, self._credentials = split_credentials(url, credentials)
        self._patience = patience or Patience()
        self._verify, self._certificate, self._timeout = verify, certificate, timeout_seconds
        if verify is False:
            # Whoever turned the check off knows; otherwise there would be a warning on each connection.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._headers = {"User-Agent": USER_AGENT, **(headers or {})}
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []
        self._failed_in_a_row = 0
        self.calls = 0
        self.probe: Callable[[], Answer] | None = None
        """A call that works if the server does. Without one, a server that fails several times counts as gone."""

    def get(self, path: str, query: Query = ()) -> dict[str, Any]:
        """Get a JSON object."""
        return self._object(self.ask("GET", path, query), f"GET {self.path_of(path)}")

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Post JSON and get a JSON object. Only for calls that change nothing, because they are repeated."""
        return self._object(self.ask("POST", path, body=body), f"POST {self.path_of(path)}")

    def ask(self, method: str, path: str, query: Query = (), body: Mapping[str, Any] | None = None) -> Answer:
        """Call until there is a response that can be used, as long as patience lasts."""
        return self._patiently(lambda: self.ask_once(method, path, query, body))

    def text(self, path: str) -> str:
        """Get a short plain text."""
        call = f"GET {self.path_of(path)}"

        def ask() -> str:
            with self.send("GET", path) as answer:
                self.check(call, answer)
                with self.breaking(call):
                    return str(answer.raw.read(_LONGEST_TEXT, decode_content=True), "utf-8", "replace").strip()

        return self._patiently(ask)

    def ask_once(self, method: str, path: str, query: Query = (), body: Mapping[str, Any] | None = None) -> Answer:
        """Call once. Raises LostError for any failure, even one that may pass."""
        call = f"{method} {self.path_of(path)}"
        with self.send(method, path, query, body=body) as answer:
            self.check(call, answer)
            with self.breaking(call):
                content = _content(call, answer)
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise LostError(
                f"{call} returned a web page instead of data. Either this is not the server's base URL, or the server "
                f"is behind a login page. {self.how_to_sign_in()}",
                status=answer.status_code,
            )
        try:
            return Answer(answer.status_code, json.loads(content), answer.headers)
        except RecursionError as error:
            raise LostError(f"The response to {call} is nested too deeply.") from error
        except ValueError as error:
            raise LostError(
                f"The response to {call} is broken: it is cut off, or is not JSON.", passing=True
            ) from error

    def send(
        self,
        method: str,
        path: str,
        query: Query = (),
        *,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one request, once. Return its response, whatever its status is; the body is still to be read.

        Other hosts never get the credentials.
        """
        url = self.full_url(path)
        with self._lock:
            self.calls += 1
        with self.breaking(f"{method} {self.path_of(path)}"):
            return self._session().request(
                method,
                url,
                params=query,
                json=body,
                headers=headers,
                verify=self._verify,
                auth=self._credentials if _origin(url) == _origin(self.url) else _as_nobody,
                stream=True,
                allow_redirects=False,
                timeout=self._timeout,
            )

    @contextmanager
    def breaking(self, call: str) -> Iterator[None]:
        """Raise what can happen to a connection during a call as LostError or GoneError."""
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise GoneError(
                f"The certificate of {self.url} can't be verified. Name the file with its authority's certificate in "
                "MLFLOW_TRACKING_SERVER_CERT_PATH."
            ) from error
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise LostError(f"{call} took too long.", passing=True) from error
        except requests.ConnectionError as error:
            if _was_never_connected(error):
                raise _NoConnectionError(f"Can't connect to {self.url}.", passing=True) from error
            raise LostError(f"The connection broke during {call}.", passing=True) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise LostError(f"The connection broke during {call}.", passing=True) from error

    def endure(self, failure: LostError, attempts: int) -> None:
        """Wait after a failure that may pass. Raises it if it can't pass, or if patience has run out."""
        hopeless = failure.status == 500 and self._failed_in_a_row >= _MOST_IN_A_ROW
        if failure.passing and not hopeless and not self._patience.is_over(attempts, failure.status):
            self._patience.wait(attempts, failure.pause)
            return
        if failure.status == 401:
            raise GoneError(failure.message, Code.UNAUTHENTICATED) from failure
        with self._lock:
            self._failed_in_a_row += failure.passing
            in_a_row = self._failed_in_a_row
        if isinstance(failure, _NoConnectionError):
            raise GoneError(f"{failure.message} Is the server running?") from failure
        if in_a_row >= _MOST_IN_A_ROW and not self._lives():
            raise GoneError(f"{failure.message} The calls before it failed, too: {in_a_row} in a row.") from failure
        raise failure

    def is_well(self) -> None:
        """Note that a call went well."""
        self._failed_in_a_row = 0

    def check(self, call: str, answer: requests.Response) -> None:
        """Raise LostError if a response does not have what was asked for; the body is read only then."""
        status = answer.status_code
        if 200 <= status < 300:
            return
        if answer.is_redirect:
            there = self._credentials.plain(urljoin(answer.url, answer.headers["Location"]).partition("?")[0])
            raise LostError(f"{call} redirects to {there}, perhaps to sign in. {self.how_to_sign_in()}", status=status)
        if status in {401, 403}:
            raise LostError(f"The server answered {status} to {call}. {self.how_to_sign_in()}", status=status)
        code, reason = self._reason(answer)
        raise LostError(
            f"The server answered {status} to {call}{f': {reason}' if reason else '.'}",
            status=status,
            error_code=code,
            passing=status in _PASSING,
            pause=answer.headers.get("Retry-After", ""),
        )

    def how_to_sign_in(self) -> str:
        """Say what to do about a login that is missing or refused."""
        if self._credentials:
            return "The token or password is not accepted, or has no access to this."
        return (
            "Set MLTRAIL_IMPORT_TOKEN to a token, or MLTRAIL_IMPORT_USERNAME and MLTRAIL_IMPORT_PASSWORD to a user's "
            "name and password."
        )

    def full_url(self, path: str) -> str:
        """Return the URL of a path, or the path itself if it is a URL."""
        return path if path.startswith(("http://", "https://")) else f"{self.url}/{path.lstrip('/')}"

    def path_of(self, path: str) -> str:
        """Return what a message names: a URL's path without its query."""
        return urlsplit(self.full_url(path)).path

    def close(self) -> None:
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def _patiently(self, call: Callable[[], _Result]) -> _Result:
        attempts = 0
        while True:
            attempts += 1
            try:
                result = call()
            except LostError as failure:
                self.endure(failure, attempts)
            else:
                self.is_well()
                return result

    def _lives(self) -> bool:
        if self.probe is None:
            return False
        try:
            self.probe()
        except LostError:
            return False
        return True

    def _object(self, answer: Answer, call: str) -> dict[str, Any]:
        if not isinstance(answer.body, dict):
            raise LostError(f"The response to {call} is not an object.", status=answer.status)
        return answer.body

    def _reason(self, answer: requests.Response) -> tuple[str, str]:
        """Return MLflow's error code, and what MLflow or GitLab says about the error."""
        try:
            body = json.loads(answer.raw.read(_LARGEST_REASON, decode_content=True))
        except (ValueError, RecursionError, urllib3.exceptions.HTTPError):
            return "", ""
        if not isinstance(body, dict):
            return "", ""
        message = body.get("message") or body.get("error") or ""
        text = message if isinstance(message, str) else json.dumps(message)
        return str(body.get("error_code") or ""), self._credentials.plain(text)

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update(self._headers)
            session.cert = self._certificate
            with self._lock:
                self._sessions.append(session)
        return session


def _as_nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is. Without this, requests would use ~/.netrc."""
    return request


def _content(call: str, answer: requests.Response) -> bytes:
    """Read a body, but no more than is needed: gigabytes can be compressed into a small one."""
    content = bytearray()
    for piece in answer.iter_content(_PIECE):
        content += piece
        if len(content) > _LARGEST_BODY:
            raise TooLargeError(f"The response to {call} has more than {_LARGEST_BODY:,} bytes, and was not read.")
    return bytes(content)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _was_never_connected(error: requests.ConnectionError) -> bool:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)
