"""A world to back up, and empty places to restore it to."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mltrail_server.artifacts.destinations import open_destination
from mltrail_server.services.backups.restore import Place
from mltrail_server.services.context.deps import Deps
from tests.backups.world import World, place_at
from tests.postgresql import Cluster


@pytest.fixture
def world(deps: Deps, tmp_path: Path) -> World:
    return World(deps, tmp_path / "work", open_destination(str(tmp_path / "backups")))


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Make an empty place in a new SQLite database, by name."""
    with ExitStack() as opened:

        def make(name: str) -> Place:
            place = place_at(f"sqlite:///{tmp_path / name}.db", tmp_path / name)
            opened.callback(place.database.dispose)
            return place

        yield make


@pytest.fixture
def empty_place(empty: Callable[[str], Place]) -> Place:
    return empty("restored")


@pytest.fixture
def new_postgresql(cluster: Cluster) -> Iterator[str]:
    """The URL of a PostgreSQL database without a table."""
    cluster.run("CREATE DATABASE restored TEMPLATE template0")
    yield cluster.url("restored")
    cluster.run("DROP DATABASE restored WITH (FORCE)")
