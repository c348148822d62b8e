"""Files: names that point at bytes.

Bytes are never changed in place. An upload makes a new blob, and the name points at it from then on; a copy (a
promoted version keeps its files) is a copy of names.
"""

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from .base import METADATA, project_column

blob = Table(
    "blob",
    METADATA,
    project_column(),
    Column("id", String(32), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

file = Table(
    "file",
    METADATA,
    project_column(),
    # E.g. `1/<eid>/artifacts/model/MLmodel`. Sorted by bytes, so that a folder is a range of the key.
    Column("path", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("blob_id", String(32), nullable=False),
    Index("ix_file_blob", "project_id", "blob_id"),
    sqlite_with_rowid=False,
)
