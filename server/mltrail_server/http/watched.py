"""What is reported about each request once its response has been sent: a line in the log, a span of a trace."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Watched(ABC):
    """A layer around the application. `begin` returns what to call at the end, with status and bytes."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    @abstractmethod
    def begin(self, environ: "WSGIEnvironment") -> "Callable[[int, int], None] | None":
        """Note that a request begins; None if nobody wants to know when it ends."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        ended = self.begin(environ)
        if ended is None:
            return self._inner(environ, start_response)
        answer = _Answer(ended)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> "Callable[[bytes], object]":  # noqa: ANN401 - an exception's parts
            answer.status = int(status[:3])
            return start_response(status, headers, *error)

        answer.body = self._inner(environ, start)
        return answer


class _Answer:
    """A response's body, which counts the bytes that are sent."""

    def __init__(self, ended: "Callable[[int, int], None]") -> None:
        self.body: Iterable[bytes] = ()
        self.status = 0
        self._ended = ended
        self._sent = 0

    def __iter__(self) -> "Iterator[bytes]":
        for piece in self.body:
            self._sent += len(piece)
            yield piece

    def close(self) -> None:
        try:
            if close := getattr(self.body, "close", None):
                close()
        finally:
            self._ended(self.status, self._sent)
