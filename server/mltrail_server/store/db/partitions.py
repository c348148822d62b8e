"""Hash partitions of the metric tables by project, for a PostgreSQL that holds a great many points.

Vacuum, index builds and backups then work on one partition at a time, and each can be on a disk of its own. Every
statement names its project, so it needs one partition only.
"""

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from mltrail_server.domain.errors import invalid
from mltrail_server.store import schema

from .database import Database
from .migrate import alone

TABLES = (schema.metric, schema.latest_metric)
MOST = 1024


def partition(database: Database, count: int) -> bool:
    """Spread the metric tables over this many partitions; 1 makes them whole again. Returns False if they already are.

    Rewrites both tables in one transaction, during which nobody else can read or write them: stop all servers first,
    and have room on the disk for a second copy of the larger table. Raises INVALID on SQLite.
    """
    if database.is_sqlite:
        raise invalid("SQLite has no partitions; set MLTRAIL_DATABASE_URL to a PostgreSQL.")
    if not 1 <= count <= MOST:
        raise invalid(f"The metric tables can have from 1 to {MOST} partitions, not {count}.")
    with database.write() as connection:
        alone(connection)
        others = [table for table in TABLES if _partitions(connection, table) != count]
        for table in others:
            _rewrite(connection, table, count)
    return bool(others)


def _partitions(connection: sa.Connection, table: sa.Table) -> int:
    """Count a table's partitions; a table without any counts as one."""
    query = sa.text("SELECT count(*) FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)")
    return connection.execute(query, {"name": table.name}).scalar_one() or 1


def _rewrite(connection: sa.Connection, table: sa.Table, count: int) -> None:
    name, old = table.name, f"{table.name}_before"
    connection.execute(sa.text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
    connection.execute(sa.text(f"ALTER TABLE {name} RENAME TO {old}"))
    # The schema sets the names of indexes, and the new table needs them.
    connection.execute(sa.text(f"ALTER TABLE {old} RENAME CONSTRAINT {table.primary_key.name} TO pk_{old}"))
    for index in table.indexes:
        connection.execute(sa.text(f"ALTER INDEX {index.name} RENAME TO {index.name}_before"))
    made = table.to_metadata(sa.MetaData(naming_convention=schema.METADATA.naming_convention))
    if count > 1:
        made.dialect_options["postgresql"]["partition_by"] = "HASH (project_id)"
    connection.execute(CreateTable(made))
    for number in range(count if count > 1 else 0):
        part = f"{name}_{number}_of_{count}"
        bound = f"FOR VALUES WITH (MODULUS {count}, REMAINDER {number})"
        connection.execute(sa.text(f"CREATE TABLE {part} PARTITION OF {name} {bound}"))
    columns = ", ".join(column.name for column in table.columns if column.computed is None)
    connection.execute(sa.text(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {old}"))  # noqa: S608 - our own names
    for index in made.indexes:
        connection.execute(CreateIndex(index))
    connection.execute(sa.text(f"DROP TABLE {old}"))
