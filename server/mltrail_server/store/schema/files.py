"""Files: names that point at bytes.

Bytes are never changed in place. An upload makes a new blob, and the name points at it from then on; a copy (a
promoted version keeps its files) is a copy of names.
"""

from sqlalchemy import BigInteger, Column, ForeignKeyConstraint, Index, Integer, String, Table, Text

from .base import METADATA, project_column

blob = Table(
    "blob",
    METADATA,
    project_column(),
    Column("id", String(32), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),  # NULL until somebody has read what a client sent straight to S3
    Column("created_ms", BigInteger, nullable=False),
    Column("unreferenced_ms", BigInteger),  # since when no name has pointed at it; garbage collection looks for these
    sqlite_with_rowid=False,
)
Index(
    "ix_blob_unreferenced",
    blob.c.project_id,
    blob.c.unreferenced_ms,
    sqlite_where=blob.c.unreferenced_ms.is_not(None),
)

file = Table(
    "file",
    METADATA,
    project_column(),
    # E.g. `1/<eid>/artifacts/model/MLmodel`. Sorted by bytes, so that a folder is a range of the key.
    Column("path", Text, primary_key=True),
    Column("blob_id", String(32), nullable=False),
    Index("ix_file_blob", "project_id", "blob_id"),
    # Without a cascade: a blob that a name points at can't be deleted, whatever happens at the same time.
    ForeignKeyConstraint(["project_id", "blob_id"], [blob.c.project_id, blob.c.id]),
    sqlite_with_rowid=False,
)

upload = Table(
    "upload",  # in parts, under way: the client sends the parts, and says when it is done
    METADATA,
    project_column(),
    Column("id", String(32), primary_key=True),  # the blob's, once it is complete
    Column("path", Text, nullable=False),
    Column("store_id", Text, nullable=False),  # the file store's id for it
    Column("parts", Integer, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
