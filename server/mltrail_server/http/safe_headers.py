"""Every response tells browsers not to guess what it is, and not to tell other sites where a reader came from."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "same-origin"))


class SafeHeaders:
    """Adds what a response does not say itself."""

    def __init__(self, inner: "WSGIApplication") -> None:
        self._inner = inner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> "Callable[[bytes], object]":  # noqa: ANN401 - an exception's parts
            said = [header[0] for header in headers]  # written as here, by all of our own code
            headers += [one for one in _HEADERS if one[0] not in said]
            return start_response(status, headers, *error)

        return self._inner(environ, start)
