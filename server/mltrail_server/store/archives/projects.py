"""A project as a whole: whether it is empty, its rows into the database, and out of it."""

import sqlalchemy as sa

from mltrail_server.store import schema
from mltrail_server.store.db.transaction import Transaction

from . import rows

_BY_ITSELF = frozenset({"project", "webhook", "due", "upload", "counter"})
"""Tables in which a project has rows as soon as somebody has looked at it, or GitLab has announced something; and the
last numbers, also of what was deleted for good."""


def full_table(tx: Transaction) -> str | None:
    """Return the name of a table in which the project has something that was logged; None if it is empty."""
    for table in rows.TABLES:
        if "project_id" not in table.c or table.name in _BY_ITSELF:
            continue
        query = sa.select(sa.literal(1)).select_from(table).where(table.c.project_id == tx.project_id)
        if table is schema.experiment:
            query = query.where(schema.experiment.c.iid != 0)  # which every project has
        if tx.execute(query.limit(1)).first() is not None:
            return table.name
    return None


def clear(tx: Transaction) -> None:
    """Delete all rows of the project."""
    for table in reversed(rows.TABLES):
        if "project_id" in table.c:
            tx.execute(sa.delete(table).where(table.c.project_id == tx.project_id))


def add_origin(tx: Transaction, *, kind: str, address: str, description: str, report: str) -> int:
    """Note where the project came from, and return the number of it."""
    table = schema.origin
    number = tx.next_number("origin")
    row = {
        "project_id": tx.project_id,
        "id": number,
        "kind": kind,
        "address": address,
        "description": description,
        "first_ms": tx.now,
        "last_ms": tx.now,
        "report": report,
    }
    tx.execute(sa.insert(table).values(row))
    return number
