"""What SQLite waits for: https://www.sqlite.org/pragma.html#pragma_synchronous."""

from dataclasses import replace

import pytest

from mltrail_server.app import create_deps
from mltrail_server.settings import Settings
from tests.clock import FrozenClock

BACKENDS = ("sqlite",)


@pytest.mark.parametrize(("synchronous", "level"), [("normal", 1), ("full", 2)])
def test_every_connection_waits_for_the_disk_as_it_was_set(
    settings: Settings, clock: FrozenClock, synchronous: str, level: int
) -> None:
    deps = create_deps(replace(settings, sqlite_synchronous=synchronous), clock=clock)
    with deps.db.write() as one, deps.db.read() as other:
        assert {one.exec_driver_sql("PRAGMA synchronous").scalar() for one in (one, other)} == {level}
    deps.db.dispose()
