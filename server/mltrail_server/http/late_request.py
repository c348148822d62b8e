"""Werkzeug's request, completed only when somebody asks for more than its method and environment. Most handlers of
MLflow's API do not, and Werkzeug would spend 5 us on decoding the URL and wrapping the headers.
"""

from typing import TYPE_CHECKING, Any

from flask import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class LateRequest(Request):
    """Unlike Werkzeug's own, it is not kept in the environment. That would be a reference cycle, and each call's memory
    would stay in use until the garbage collector runs: some megabytes, none of them in the processor's caches.
    """

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.environ = environ
        self.method = environ["REQUEST_METHOD"].upper()
        self.shallow = False

    if not TYPE_CHECKING:  # otherwise mypy would accept any attribute of a request

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the value of any attribute
            if "headers" in self.__dict__:
                raise AttributeError(name)
            super().__init__(self.environ, populate_request=False)
            return getattr(self, name)
