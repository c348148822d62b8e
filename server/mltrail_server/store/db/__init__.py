"""The database itself: connections and transactions of SQLite and PostgreSQL, statements, pages, migrations."""

__all__ = [
    "database",
    "filters",
    "migrate",
    "paging",
    "partitions",
    "planner",
    "project",
    "slow",
    "statements",
    "transaction",
]
