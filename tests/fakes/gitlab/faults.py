"""What can go wrong on the way to GitLab, once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from flask import Response, jsonify

if TYPE_CHECKING:
    from .fake import FakeGitLab

How = Literal["status", "hang", "cut", "garbled"]
"""Return a status; hang until released; break off in the middle; return something that is not JSON."""


@dataclass
class Fault:
    """What goes wrong once: before or after the call takes effect."""

    method: str
    path: str
    status: int
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    how: How = "status"
    act: Callable[[], None] | None = None  # runs first, while other calls are served

    @property
    def goes_well(self) -> bool:
        return self.act is not None and self.how == "status" and self.status == 200


def failed(fake: "FakeGitLab", fault: Fault) -> Response:
    if fault.act is not None:
        aside(fake, fault.act)
    if fault.how == "hang":
        aside(fake, lambda: fake.released.wait(30))
    if fault.how == "cut":
        answer = Response(_half(), 200, {"Content-Length": "1000"}, content_type="application/json")
        answer.automatically_set_content_length = False
        return answer
    if fault.how == "garbled":
        return Response("<html>Welcome!</html>", 200, content_type="text/html")
    return Response("something went wrong", status=fault.status, headers=fault.headers)


def aside(fake: "FakeGitLab", act: Callable[[], object]) -> None:
    """Do something in the middle of a call, while other calls are served."""
    fake.lock.release()
    try:
        act()
    finally:
        fake.lock.acquire()


def limited(seconds: int, *, bare: bool) -> Response:
    """GitLab's two kinds of rate limit.

    https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/
    """
    if bare:
        answer = jsonify(message={"error": "This endpoint has been requested too many times. Try again later."})
        answer.status_code = 429
        return answer
    headers = {
        "RateLimit-Limit": "60",
        "RateLimit-Name": "throttle_authenticated_api",
        "RateLimit-Observed": "61",
        "RateLimit-Remaining": "0",
        "Retry-After": str(seconds),
    }
    return Response("Retry later\n", 429, headers, content_type="text/plain")


def _half() -> Iterator[bytes]:
    yield b'{"id": 42, "path_with'
