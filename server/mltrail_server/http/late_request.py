"""Werkzeug's request, which is made in full when somebody asks for it: most handlers of MLflow's API need only its
method and environment, and Werkzeug would first take 5 us to decode the URL and wrap the headers.
"""

from typing import TYPE_CHECKING, Any

from flask import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class LateRequest(Request):
    """Unlike Werkzeug's own, it is not kept in the environment. That would be a cycle, so that the memory of every call
    would stay in use until Python looks for garbage: some megabytes, and none of it in the processor's caches.
    """

    def __init__(self, environ: "WSGIEnvironment") -> None:
        self.environ = environ
        self.method = environ["REQUEST_METHOD"].upper()
        self.shallow = False

    if not TYPE_CHECKING:  # it would hide from mypy what a request does not have

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute's
            if "headers" in self.__dict__:
                raise AttributeError(name)
            super().__init__(self.environ, populate_request=False)
            return getattr(self, name)
