"""What an operator may want to know about the database itself. Reads only."""

from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.store.schema import metric


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    version: str
    number: int  # such as 150004
    encoding: str
    collation: str
    connections: int
    most_connections: int
    clock: float  # seconds since 1970
    partitions: int


def of_postgresql(connection: sa.Connection) -> PostgresFacts:
    query = sa.text(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int, "
        "pg_encoding_to_char(d.encoding), d.datcollate, (SELECT count(*) FROM pg_stat_activity), "
        "current_setting('max_connections')::int, extract(epoch FROM clock_timestamp())::float8, "
        "(SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass(:metric)) "
        "FROM pg_database d WHERE d.datname = current_database()"
    )
    return PostgresFacts(*connection.execute(query, {"metric": metric.name}).one())


def replica_lag(connection: sa.Connection) -> float | None:
    """Return how many seconds a replica is behind; None for a database that is not a replica."""
    query = sa.text(
        "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL "
        "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 "
        "ELSE extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 END"
    )
    return connection.execute(query).scalar_one_or_none()


def journal_mode(connection: sa.Connection) -> str:
    """Return how SQLite writes: `wal`, as it should be, or something else."""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
