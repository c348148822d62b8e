"""The database itself: connections and transactions of SQLite and PostgreSQL, statements, pages, migrations."""

__all__ = [
    "database",
    "failures",
    "filters",
    "indexes",
    "migrate",
    "named_statements",
    "paging",
    "partitions",
    "planner",
    "project",
    "revisions",
    "statements",
    "transaction",
]
