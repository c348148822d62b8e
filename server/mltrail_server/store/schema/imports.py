"""Where imported things came from: to mark them, and to import only what is new the next time."""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from .base import METADATA, number_column, project_column

origin = Table(
    "origin",  # a place that a history was imported from
    METADATA,
    project_column(),
    number_column("id"),
    Column("kind", String(16), nullable=False),  # the reader, see `domain.transfer.Source.kind`
    Column("address", Text, nullable=False),  # URL or path, without user name and password
    Column("description", Text, nullable=False),  # such as "MLflow 2.22.1"
    Column("first_ms", BigInteger, nullable=False),  # when the first import from it started
    Column("last_ms", BigInteger, nullable=False),  # when the latest one ended (or started, if it did not end)
    Column("report", Text),  # report of the last import that ended, as JSON
)

imported = Table(
    "imported",  # what was imported, and as what; keyed by the thing itself, however it was read
    METADATA,
    project_column(),
    Column("kind", String(24), primary_key=True),  # `domain.transfer.Entity`'s name
    Column("key", Text, primary_key=True),  # its ID at the source, or its name if it has none
    Column("origin_id", BigInteger, nullable=False),  # where it last came from
    Column("here", Text, nullable=False),  # its number, ID or name here
    Column("fingerprint", String(64), nullable=False),  # of the source's record; if unchanged, it is skipped
    Column("counts", Text, nullable=False),  # what came with it, as a JSON object by `Entity`'s names
    Column("written", Text),  # digests of written values, to find later changes here; see `services.imports`
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_imported_here", "project_id", "kind", "here"),
    sqlite_with_rowid=False,
)
