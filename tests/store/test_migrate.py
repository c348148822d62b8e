"""Setting up a database."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mltrail_server.store import migrate
from mltrail_server.store.db import Database
from tests.postgresql import Cluster

SERVERS = 4


@pytest.fixture
def fresh(backend: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], str]:
    """Answers the URL of a database that nobody has set up."""

    def url() -> str:
        if backend == "sqlite":
            return f"sqlite:///{tmp_path / 'fresh.db'}"
        cluster: Cluster = request.getfixturevalue("cluster")
        cluster.run("CREATE DATABASE fresh")
        request.addfinalizer(lambda: cluster.run("DROP DATABASE fresh WITH (FORCE)"))
        return cluster.url("fresh")

    return url


def test_servers_that_start_at_once_set_it_up_once(fresh: Callable[[], str]) -> None:
    url = fresh()
    databases = [Database(url) for _ in range(SERVERS)]
    with ThreadPoolExecutor(SERVERS) as pool:
        list(pool.map(migrate.prepare, databases))
    assert {migrate.revision(database) for database in databases} == {migrate.newest()}
    for database in databases:
        database.dispose()
