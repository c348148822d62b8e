"""Connections to GitLab: one python-gitlab object per thread and token, always with time-outs."""

import hashlib
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from mltrail_server.domain.clock import Clock, system_clock
from mltrail_server.telemetry.tracing import TRACING

if TYPE_CHECKING:
    from collections.abc import Callable

    import gitlab

_log = logging.getLogger(__name__)
TIMEOUT_SECONDS = 10.0
USER_AGENT = "mltrail"

NO_WAITING: dict[str, Any] = {"obey_rate_limit": False}
"""For every call: python-gitlab would sleep until a rate limit is over, which a web request must not."""

_DEFAULT_PAUSE_SECONDS = 60
_LONGEST_PAUSE_SECONDS = 600


class RateLimitedError(requests.RequestException):
    """GitLab's rate limit is reached; `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"rate limit; try again in {retry_after} s")
        self.retry_after = retry_after


class ForeignRedirectError(requests.RequestException):
    """GitLab redirects to another host, to which our tokens must not be sent."""


class Connections:
    """Provides python-gitlab objects.

    Nothing is retried blindly (python-gitlab would repeat POSTs too, and create two notes), and a rate limit is an
    error instead of a pause: the worker tries again by itself, and a web request should not wait. Until the time that
    GitLab names, calls with that token fail here without reaching GitLab.
    """

    def __init__(self, url: str, clock: Clock = system_clock, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self.timeout_seconds = timeout_seconds
        self.url = url.rstrip("/")
        self.clock = clock
        self._local = threading.local()
        self.observe: Callable[[str, str, float], None] = _unobserved
        """Called after each call with its method, the response's status or `error`, and its seconds."""
        self.older_until: dict[str, int] = {}
        """Until when (in milliseconds) this GitLab is assumed not to know a URL, by the last part of the URL; see
        `renamed_urls`.
        """
        self._pauses: dict[bytes, int] = {}  # until when, in milliseconds, by the token's hash

    def bot(self, token: str) -> "gitlab.Gitlab":
        """Return this thread's connection with the bot's token, which is kept open."""
        made: dict[str, gitlab.Gitlab] = self._local.__dict__.setdefault("bots", {})
        if token not in made:
            made[token] = self.of(token)
        self._check_pause(token)
        return made[token]

    def of(self, token: str, *, of_job: bool = False) -> "gitlab.Gitlab":
        """Create a connection with `token`, which is a job's if `of_job`. Close it with `with`."""
        self._check_pause(token)
        import gitlab  # noqa: PLC0415 - ID tokens, with which most servers' trainings log, need none of it

        made = gitlab.Gitlab(
            self.url,
            oauth_token=None if of_job else token,
            job_token=token if of_job else None,
            timeout=self.timeout_seconds,
            retry_transient_errors=False,
            keep_base_url=True,
            user_agent=USER_AGENT,
        )
        key = _hash(token)

        def look(response: requests.Response, **_: object) -> requests.Response:
            if response.status_code == 429:
                pause = _pause_of(response)
                self._pauses[key] = self.clock() + pause * 1000
                response.close()
                raise RateLimitedError(pause)
            keep_to_host(response)
            return response

        made.session.hooks["response"].append(look)
        for scheme in ("http://", "https://"):
            made.session.mount(scheme, _Observed(self))
        return made

    def _check_pause(self, token: str) -> None:
        until = self._pauses.get(key := _hash(token))
        if until is None:
            return
        left = until - self.clock()
        if left > 0:
            raise RateLimitedError(-(-left // 1000))
        self._pauses.pop(key, None)


_CAN_GIVE_UP = hasattr(socket, "TCP_USER_TIMEOUT")  # Linux


class _Observed(HTTPAdapter):
    """Reports each call, also one without a response."""

    def __init__(self, sessions: Connections) -> None:
        self._sessions = sessions
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's
        """Have the system give up when the call does. Otherwise it would deliver what was sent to a machine that is cut
        off once that is back, minutes after the call failed: a second note.
        """
        milliseconds = round(1000 * self._sessions.timeout_seconds)
        gives_up = [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)] if _CAN_GIVE_UP else []
        super().init_poolmanager(*args, **options, socket_options=[*HTTPConnection.default_socket_options, *gives_up])

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        began, status = time.perf_counter(), "error"
        try:
            answer = super().send(request, *args, **options)
            status = str(answer.status_code)
            if answer.status_code >= 400:
                _note_failure(request, answer)
            return answer
        finally:
            seconds, method = time.perf_counter() - began, request.method or ""
            self._sessions.observe(method, status, seconds)
            if TRACING.tracer is not None:
                host = urlsplit(request.url or "").hostname or ""
                attributes: dict[str, str | int] = {"http.request.method": method, "server.address": str(host)}
                attributes |= (
                    {"error.type": status} if status == "error" else {"http.response.status_code": int(status)}
                )
                TRACING.record(f"GitLab {method}", seconds, attributes)


def _note_failure(request: requests.PreparedRequest, answer: requests.Response) -> None:
    """Log a call that GitLab refuses, with the ID by which GitLab's own logs find it. What it has no access to, or does
    not have, is often no fault.
    """
    level = logging.WARNING if answer.status_code >= 500 or answer.status_code == 429 else logging.INFO
    path = urlsplit(request.url or "").path
    text = "GitLab answers %s to %s %s; its x-request-id is %s"
    _log.log(level, text, answer.status_code, request.method, path, answer.headers.get("x-request-id", "missing"))


def library_error() -> "type[gitlab.exceptions.GitlabError]":
    """Return what python-gitlab raises, for an `except`: that asks only once something was raised."""
    import gitlab  # noqa: PLC0415 - as above

    return gitlab.exceptions.GitlabError


def _unobserved(_method: str, _status: str, _seconds: float) -> None:
    """Ignore the call."""


def keep_to_host(response: requests.Response) -> None:
    """Refuse a redirect to another host: requests would send the headers `JOB-TOKEN` and `PRIVATE-TOKEN` there.

    Raises ForeignRedirectError.
    """
    if not response.is_redirect:
        return
    here, there = urlsplit(response.url), urlsplit(urljoin(response.url, response.headers["Location"]))
    if there.netloc != here.netloc or (here.scheme == "https" and there.scheme != "https"):
        response.close()
        raise ForeignRedirectError(f"{here.netloc} redirects to {there.scheme}://{there.netloc}")


def _pause_of(response: requests.Response) -> int:
    """Read how long to wait, in seconds; some of GitLab's rate limits don't say."""
    after = response.headers.get("Retry-After", "")
    seconds = int(after) if after.isascii() and after.isdigit() else _DEFAULT_PAUSE_SECONDS
    return max(1, min(seconds, _LONGEST_PAUSE_SECONDS))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
