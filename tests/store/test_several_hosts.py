"""PostgreSQL on two hosts, one of which is a standby: the database's URL names both, and writes find the primary."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.store.db.database import Database
from tests.postgresql import Cluster

TABLE = "CREATE TABLE note (text varchar)"
INSERT = sa.text("INSERT INTO note VALUES ('here')")


@pytest.fixture
def primary() -> Iterator[Cluster]:
    with Cluster.started() as running:
        running.run(TABLE)
        yield running


@pytest.fixture
def standby(primary: Cluster) -> Iterator[Cluster]:
    with primary.follower() as copy:
        yield copy


def url_of(*clusters: Cluster, query: str = "?target_session_attrs=read-write") -> str:
    """As libpq's URLs are written."""
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in clusters)
    return clusters[0].url().replace(f"127.0.0.1:{clusters[0].port}", hosts) + query


def write(database: Database) -> int:
    """Write a row, and return the port of the server that has it."""
    with database.write() as connection:
        connection.execute(INSERT)
        return int(connection.scalar(sa.text("SHOW port")) or 0)


def test_writes_go_to_the_primary_wherever_it_is_named(primary: Cluster, standby: Cluster) -> None:
    for url in (url_of(primary, standby), url_of(standby, primary)):
        database = Database(url)
        assert write(database) == primary.port
        database.dispose()


def test_writes_follow_the_primary(primary: Cluster, standby: Cluster) -> None:
    """Connections that are open when the primary ends are of no use any more, and none of them fails a second call."""
    database = Database(url_of(primary, standby))
    with database.write(), database.write(), database.write():
        pass  # three connections, which wait in the pool now
    primary.kill()
    with pytest.raises(MltrailError) as refused:
        write(database)  # nobody takes over yet
    assert refused.value.code is Code.UNAVAILABLE
    standby.run("SELECT pg_promote()")
    assert [write(database) for _ in range(3)] == [standby.port] * 3
    database.dispose()
    primary.start()  # for the end of the test, which stops it


def test_a_standby_that_does_not_accept_writes_is_left(primary: Cluster, standby: Cluster) -> None:
    """As behind an address that moves from host to host: the connection is alive, but leads to a standby."""
    database = Database(url_of(standby, query=""))
    with pytest.raises(MltrailError, match="accepts no writes just now") as refused:
        write(database)
    assert refused.value.code is Code.UNAVAILABLE
    standby.run("SELECT pg_promote()")
    assert write(database) == standby.port
    database.dispose()


def test_the_host_that_was_good_last_is_tried_first(primary: Cluster, standby: Cluster) -> None:
    """A host that is cut off is not asked again for each new connection, which would wait for it."""
    database = Database(url_of(standby, primary))
    write(database)
    asked: list[str] = []

    @sa.event.listens_for(database.engine, "do_connect")
    def note(_dialect: object, _record: object, _args: object, given: dict[str, str]) -> None:
        asked.append(given["port"])

    database.dispose()
    write(database)
    assert asked == [f"{primary.port},{standby.port}"]
    database.dispose()


def test_searches_prefer_the_standby_wherever_it_is(primary: Cluster, standby: Cluster) -> None:
    both = url_of(primary, standby, query="?target_session_attrs=prefer-standby")
    database = Database(url_of(primary, standby), replica_url=both)
    with database.search() as connection:
        assert connection.scalar(sa.text("SHOW port")) == str(standby.port)
    assert write(database) == primary.port
    database.dispose()
