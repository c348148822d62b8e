"""PostgreSQL for a benchmark: a server that is there, or one of its own, as durable as it is by default."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from tests.postgresql import Cluster

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
def server(option: str | None) -> Iterator[str]:
    """Yield the URL of a server without a database, or nothing for SQLite."""
    if option == "own":
        with Cluster.started(*_OPTIONS, durable=True) as cluster:
            yield cluster.url("").rstrip("/")
    else:
        yield (option or "").rstrip("/")


def database(url: str, name: str) -> str:
    """Create an empty database and return its URL; everything else on the server is left alone. Nothing for SQLite."""
    if not url:
        return ""
    import psycopg  # noqa: PLC0415 - for those who measure PostgreSQL

    name = f"mltrail_bench_{name}"
    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
    return f"{url}/{name}"
