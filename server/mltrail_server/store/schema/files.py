"""Files: names that point at bytes.

Bytes are never changed in place. An upload makes a new blob, and the name points at it from then on; a copy (a
promoted version keeps its files) is a copy of names.
"""

from sqlalchemy import BigInteger, Column, String, Table, Text

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
    Column("path", Text, primary_key=True),  # e.g. `1/<eid>/artifacts/model/MLmodel`
    Column("blob_id", String(32), nullable=False, index=False),
    sqlite_with_rowid=False,
)
