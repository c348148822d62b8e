"""A server that has trouble: real HTTP in front of any application, with faults that a test asks for."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug import Request, Response

from tests.fakes.gitlab.serving import Serving

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

Handler = Callable[["WSGIApplication", "WSGIEnvironment", "StartResponse"], Iterable[bytes]]
"""Answers one call instead of the application."""

LOGIN_PAGE = "<!doctype html><title>Sign in</title><form action=/login></form>"


@dataclass
class Fault:
    """What goes wrong with calls whose path and query match: `times` times, or always."""

    pattern: str
    how: Handler
    times: int = 1_000_000


@dataclass
class Stubborn:
    """Passes calls on to an application, unless a fault is next. Remembers what was asked for, and with which token."""

    application: "WSGIApplication"
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    _choosing: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        call = f"{request.method} {request.full_path.rstrip('?')}"
        self.asked.append(call)
        self.tokens.append(request.headers.get("Authorization", ""))
        if (fault := self._next_fault(call)) is not None:
            return fault.how(self.application, environ, start_response)
        return self.application(environ, start_response)

    def _next_fault(self, call: str) -> Fault | None:
        """Use up one time of a fault. Of calls that come at once, only as many get it as it has times."""
        with self._choosing:
            for fault in self.faults:
                if fault.times and re.search(fault.pattern, call):
                    fault.times -= 1
                    return fault
        return None

    def serving(self) -> Serving:
        return Serving(self)


def status(code: int, body: str = "", *, content_type: str = "text/plain", **headers: str) -> Handler:
    """Answer with a status. Names of headers are written with underscores."""

    def answer(_: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(body, code, named, content_type=content_type)(environ, start_response)

    return answer


def cut(application: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """Break the connection in the middle of the body."""
    inner = Response.from_app(application, environ)
    content = inner.get_data()
    answer = Response(_then_nothing(content[: len(content) // 2]), inner.status, inner.headers)
    answer.headers["Content-Length"] = str(len(content))
    return answer(environ, start_response)


def short(
    application: "WSGIApplication", environ: "WSGIEnvironment", start_response: "StartResponse"
) -> Iterable[bytes]:
    """Send half of the body, and say that this is all."""
    inner = Response.from_app(application, environ)
    content = inner.get_data()
    return Response(content[: len(content) // 2], inner.status, content_type=inner.content_type)(
        environ, start_response
    )


def _then_nothing(content: bytes) -> Iterator[bytes]:
    yield content
