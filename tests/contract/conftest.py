"""A real server, for tests that speak HTTP by hand."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Server

TOKEN = "token-of-the-raw-tests"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server.started(tmp_path_factory.mktemp("server"), token=TOKEN) as running:
        yield running
