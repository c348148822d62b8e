"""Indexes on tables that are in use, built without making writers wait. Migrations use this."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


def add_index(name: str, table: str, columns: Sequence[str], *, where: str = "") -> None:
    """Build an index: on PostgreSQL concurrently; on a partitioned table, one partition after the other.

    Only for a migration with `concurrently = True`. It can be repeated after an interruption. `columns` are names, or
    names with an order, such as `started_ms DESC`. `where` says which rows a partial index holds.
    """
    on = f"({', '.join(columns)})" + (f" WHERE {where}" if where else "")
    context = op.get_context()
    if context.dialect.name != "postgresql":
        op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON {table} {on}")
        return
    parts = [] if context.as_sql else _partitions(op.get_bind(), table)
    if not parts:
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} {on}")
        return
    for part in parts:
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name}_{part} ON {part} {on}")
    # It becomes valid once it has the index of every partition.
    op.execute(f"CREATE INDEX IF NOT EXISTS {name} ON ONLY {table} {on}")
    for part in parts:
        op.execute(f"ALTER INDEX {name} ATTACH PARTITION {name}_{part}")


def remove_index(name: str) -> None:
    """Drop an index, on PostgreSQL concurrently. The table must not be partitioned.

    Only for a migration with `concurrently = True`. It can be repeated after an interruption.
    """
    concurrently = "CONCURRENTLY " if op.get_context().dialect.name == "postgresql" else ""
    op.execute(f"DROP INDEX {concurrently}IF EXISTS {name}")


def _partitions(connection: sa.Connection, table: str) -> list[str]:
    query = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = CAST(:name AS regclass)")
    return sorted(connection.execute(query, {"name": table}).scalars())
