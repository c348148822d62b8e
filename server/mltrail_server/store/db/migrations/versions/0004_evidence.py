"""Keep what others write beside the evidence, and what a run was before a later job; leave tombstones."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "amendment",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "user_name",
            sa.String(length=255).with_variant(sa.String(length=255, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kinds", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "user_name", "job_id", name=op.f("pk_amendment")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "own_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "key",
            sa.String(length=250).with_variant(sa.String(length=250, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("value", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "key", name=op.f("pk_own_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstone",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "experiment",
            sa.String(length=500).with_variant(sa.String(length=500, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("tags", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column(
            "state",
            sa.String(length=16).with_variant(sa.String(length=16, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("removed_by", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "pipeline_id", "candidate_iid", name=op.f("pk_tombstone")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("tombstone", schema=None) as batch_op:
        batch_op.create_index("ix_tombstone_candidate", ["project_id", "candidate_iid"], unique=False)

    with op.batch_alter_table("candidate", schema=None) as batch_op:
        batch_op.add_column(sa.Column("amendment_iid", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("snapshot_iid", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("protected", sa.Boolean(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "experiment_name",
                sa.String(length=500).with_variant(sa.String(length=500, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("discarded", sa.Boolean(), server_default="0", nullable=False))

    # Not in the batch, which would make the table anew on SQLite. What was amended before had been mixed with the
    # evidence, and is taken for it from now on.
    op.execute("ALTER TABLE candidate DROP COLUMN amended")

    with op.batch_alter_table("candidate_job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("late", sa.Boolean(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("after_pipeline", sa.Boolean(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("overdue", sa.Boolean(), server_default="0", nullable=False))

    with op.batch_alter_table("logged_model", schema=None) as batch_op:
        batch_op.add_column(sa.Column("beside", sa.Boolean(), server_default="0", nullable=False))

    with op.batch_alter_table("logged_model_metric", schema=None) as batch_op:
        batch_op.add_column(sa.Column("beside", sa.Boolean(), server_default="0", nullable=False))
