"""what a merge request is judged by"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "red_verdict",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column(
            "key", sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("target_branch", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("model_name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("rules", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column(
            "sha", sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"), nullable=False
        ),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("passed_pipeline_id", sa.BigInteger(), nullable=True),
        sa.Column("passed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "merge_request_iid", "key", name=op.f("pk_red_verdict")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked_ms", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("merge_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source_project_id", sa.BigInteger(), nullable=True))

    with op.batch_alter_table("pipeline", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "head_sha",
                sa.String(length=64).with_variant(sa.String(length=64, collation="C"), "postgresql"),
                nullable=True,
            )
        )
        batch_op.add_column(
            sa.Column("changed_at", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("contract_ref", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("contract_problem", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("proposed_problem", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("earlier_contract", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True)
        )
