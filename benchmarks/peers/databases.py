"""PostgreSQL for a benchmark: a server that is there, or one of its own, as durable as it is by default."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.postgresql import Cluster

if TYPE_CHECKING:
    import psycopg

_PREFIX = "mltrail_bench_"
_OPTIONS = ("shared_buffers=512MB", "max_connections=300", "max_wal_size=4GB")


def add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--postgresql",
        nargs="?",
        const="own",
        metavar="URL",
        help="use PostgreSQL instead of SQLite: a server to make databases in, or one of its own",
    )


@contextmanager
def server(option: str | None, *further: str) -> Iterator[str]:
    """Yield the URL of a server without a database, or nothing for SQLite. Its own gets `further` options."""
    if option == "own":
        with Cluster.started(*_OPTIONS, *further, durable=True) as cluster:
            yield cluster.url("").rstrip("/")
    else:
        yield (option or "").rstrip("/")


def database(url: str, name: str, *, keep: bool = False) -> str:
    """Create an empty database, or `keep` the one that is there, and return its URL; everything else on the server is
    left alone. Nothing for SQLite.
    """
    if not url:
        return ""
    there, name = exists(url, name), _PREFIX + name
    with _connection(url) as connection:
        if there and not keep:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        if not there or not keep:
            connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{url}/{name}"


def exists(url: str, name: str) -> bool:
    """Whether the database is there; one of SQLite is its file."""
    if not url:
        return True
    with _connection(url) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        return connection.execute(query, [_PREFIX + name]).fetchone() is not None


def drop(url: str, database_url: str) -> None:
    if url:
        with _connection(url) as connection:
            connection.execute(f"DROP DATABASE {database_url.rpartition('/')[2]} WITH (FORCE)".encode())


def postmaster(database_url: str) -> int:
    """Return the process of a PostgreSQL on this machine; 0 if it is elsewhere."""
    if not database_url:
        return 0
    import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

    with psycopg.connect(database_url) as connection:
        session = connection.info.backend_pid
        try:
            status = Path(f"/proc/{session}/stat").read_text()
        except FileNotFoundError:
            return 0
    name, _, fields = status.partition(")")
    return int(fields.split()[1]) if name.endswith("(postgres") else 0


def _connection(url: str) -> "psycopg.Connection":
    import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

    return psycopg.connect(f"{url}/postgres", autocommit=True)
