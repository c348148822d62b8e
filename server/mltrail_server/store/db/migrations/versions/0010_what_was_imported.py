"""Remember what was imported, and where it came from."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

    def short(length: int) -> sa.String:
        return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")

    op.create_table(
        "origin",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", short(16), nullable=False),
        sa.Column("address", text, nullable=False),
        sa.Column("description", text, nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("report", text, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_origin")),
    )
    op.create_table(
        "imported",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", short(24), nullable=False),
        sa.Column("key", text, nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=False),
        sa.Column("here", text, nullable=False),
        sa.Column("fingerprint", short(64), nullable=False),
        sa.Column("counts", text, nullable=False),
        sa.Column("written", text, nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "key", name=op.f("pk_imported")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_imported_here", "imported", ["project_id", "kind", "here"])
    op.add_column("candidate", sa.Column("origin_id", sa.BigInteger(), nullable=True))
    op.add_column("model_version", sa.Column("origin_id", sa.BigInteger(), nullable=True))
    op.add_column("trace", sa.Column("origin_id", sa.BigInteger(), nullable=True))
