"""Registries on this machine, for rehearsals: what a release is uploaded to, and can be installed from.

GitLab's package registries, with pypiserver as the index. They listen on 127.0.0.1 only.
"""

import io
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pypiserver

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

_PACKAGES = "/api/v4/projects/1/packages"
_PATIENCE_SECONDS = 60.0


@dataclass
class Packages:
    """GitLab's package registries of project 1: an index, a Helm repository and generic packages."""

    folder: Path
    token: str
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("pypi", "helm", "generic"):
            (self.folder / name).mkdir(parents=True)
        # Any name and password are taken here; GitLab's own check is not ours to rehearse.
        self._index = pypiserver.app(
            roots=[str(self.folder / "pypi")],
            password_file=".",  # noqa: S106 - pypiserver then asks nobody for a password
            authenticate=[],
            disable_fallback=True,
        )

    def __call__(self, environ: dict[str, Any], start: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"].removeprefix(_PACKAGES)
        if path == environ["PATH_INFO"]:
            return self._answer(start, "404 Not Found", environ)
        if path.startswith("/pypi"):
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = f"{_PACKAGES}/pypi", path.removeprefix("/pypi") or "/"
            answer: Iterable[bytes] = self._index(environ, start)
            return answer
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if environ["REQUEST_METHOD"] == "POST" and path == "/helm/api/stable/charts":
            for name, content in _form(environ["CONTENT_TYPE"], body):
                (self.folder / "helm" / name).write_bytes(content)
            return self._answer(start, "201 Created", environ)
        if environ["REQUEST_METHOD"] == "PUT" and environ.get("HTTP_JOB_TOKEN") == self.token:
            (self.folder / "generic" / path.rpartition("/")[2]).write_bytes(body)
            return self._answer(start, "201 Created", environ)
        return self._answer(start, "401 Unauthorized", environ)

    def _answer(self, start: "StartResponse", status: str, environ: dict[str, Any]) -> Iterable[bytes]:
        if not status.startswith("2"):
            self.refused.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}: {status}")
        start(status, [("Content-Length", "0")])
        return [b""]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""


@contextmanager
def packages(folder: Path, token: str) -> Iterator[tuple[Packages, str]]:
    """The registries and GitLab's API address."""
    registries = Packages(folder, token)
    server = make_server("127.0.0.1", 0, registries, server_class=_Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield registries, f"http://127.0.0.1:{server.server_port}/api/v4"
    finally:
        server.shutdown()
        server.server_close()


def _form(content_type: str, body: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of a form, by name."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parse(io.BytesIO(head + body))
    for part in message.iter_parts():  # type: ignore[attr-defined]
        if name := part.get_filename():
            yield name, part.get_payload(decode=True)
