"""Where imported things came from, so that they are marked, and that a second import brings only what is new."""

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
    Column("first_ms", BigInteger, nullable=False),  # when an import from it first began
    Column("last_ms", BigInteger, nullable=False),  # and when one last ended or, if it did not end, began
    Column("report", Text),  # of the last import that ended, as JSON
)

imported = Table(
    "imported",  # what has been imported, and as what: by the thing, whatever the way that it came
    METADATA,
    project_column(),
    Column("kind", String(24), primary_key=True),  # `domain.transfer.Entity`'s name
    Column("key", Text, primary_key=True),  # its id at the source; for what has none, its name
    Column("origin_id", BigInteger, nullable=False),  # that it last came from
    Column("here", Text, nullable=False),  # its number, id or name here
    Column("fingerprint", String(64), nullable=False),  # of all that the source says of it: the same is not read again
    Column("counts", Text, nullable=False),  # what came with it, as a JSON object by `Entity`'s names
    Column("told", Text),  # digests of what was written and may be changed here since, see `services/imports/told.py`
    Column("at_ms", BigInteger, nullable=False),
    Index("ix_imported_here", "project_id", "kind", "here"),
    sqlite_with_rowid=False,
)
