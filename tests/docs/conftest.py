"""The docs site, built once, and a server for its files."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from scripts.docs_site import build

from tests.chromium import axe as axe  # noqa: PLC0414 - pytest finds it here
from tests.chromium import chromium as chromium  # noqa: PLC0414
from tests.places import ROOT

REPOSITORY = "https://gitlab.example.com/mlops/mltrail"


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This checkout's pages. A warning of Sphinx is an error, which it has printed."""
    folder = tmp_path_factory.mktemp("site")
    to = folder / "public/latest"
    build.site(ROOT, to, folder / "source", f"{REPOSITORY}/-/blob/main", version="latest")
    return to


@pytest.fixture(scope="session")
def served(built: Path) -> Iterator[str]:
    """The address of the built pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=built.parent)) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
