"""which merge requests a test set has judged"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "case_use",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "test_set",
            sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "test_set", "merge_request_iid", name=op.f("pk_case_use")),
    )
