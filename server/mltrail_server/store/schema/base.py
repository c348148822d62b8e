"""What all tables share.

`project_id` is the first column of every key and every index: that is tenant isolation, and the tables can be spread
over partitions or nodes by this column when one PostgreSQL is outgrown.

Tables with few rows have foreign keys. Rows that are written in a training loop have none: they are written in the
same transaction that has read their candidate, and a check per row would slow the loop noticeably.

Text is sorted by its bytes on both databases, whatever the locale of a PostgreSQL: pages have one order, a prefix is
a range of an index, and no index breaks when a new version of the operating system sorts words differently.
"""

from sqlalchemy import BigInteger, Column, Computed, ForeignKeyConstraint, MetaData, String, Table

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

VALUE_START = 32


def project_column() -> Column[int]:
    return Column("project_id", BigInteger, primary_key=True, autoincrement=False)


def number_column(name: str) -> Column[int]:
    """Return a key column that we number ourselves, per project."""
    return Column(name, BigInteger, primary_key=True, autoincrement=False)


def belongs_to(table: Table, *, by: list[str], key: list[str]) -> ForeignKeyConstraint:
    """Tie rows to their owner in the same project; they are deleted with it."""
    return ForeignKeyConstraint(
        ["project_id", *by], [table.c.project_id, *(table.c[name] for name in key)], ondelete="CASCADE"
    )


def value_start_column() -> Column[str]:
    """Return a column with the first 32 characters of `value`, for an index: PostgreSQL refuses 2,700 bytes and more in
    one.

    (An index on the expression would need no column, but Alembic can't compare it on SQLite.)
    """
    return Column("value_start", String(VALUE_START), Computed(f"substr(value, 1, {VALUE_START})", persisted=True))


def sort_by_bytes(metadata: MetaData) -> None:
    """Set the sort order of all text columns, see above. Called once all tables are declared."""
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, String):
                by_bytes = type(column.type)(column.type.length, collation="C")
                column.type = column.type.with_variant(by_bytes, "postgresql")


def make_partial(metadata: MetaData, dialect: str) -> None:
    """Make what are partial indexes on SQLite partial on PostgreSQL, too; called before tables are created.

    Were `postgresql_where` declared beside `sqlite_where`, every server on SQLite would load PostgreSQL's dialect: 25
    ms and 3 MB.
    """
    if dialect == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]
