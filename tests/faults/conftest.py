"""Faults need a database that keeps what it acknowledged when it is killed."""

from collections.abc import Iterator

import pytest

from tests.postgresql import Cluster

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="module")
def durable_cluster() -> Iterator[Cluster]:
    with Cluster.started("fsync=off", durable=True) as running:  # the machine itself lives on
        yield running


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database; "" is SQLite in the server's data folder."""
    if request.param == "sqlite":
        yield ""
        return
    cluster: Cluster = request.getfixturevalue("durable_cluster")
    cluster.run("CREATE DATABASE mltrail")
    yield cluster.url("mltrail")
    cluster.run("DROP DATABASE mltrail WITH (FORCE)")
