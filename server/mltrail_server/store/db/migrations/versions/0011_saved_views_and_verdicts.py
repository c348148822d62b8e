"""Keep named views of an experiment's page, and what was last said of each merge request."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None
kind = "expand"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def string(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("name", string(100), nullable=False),
        sa.Column("query", TEXT, nullable=False),
        sa.Column("created_by", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", TEXT, nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_saved_view_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_saved_view")),
        sa.UniqueConstraint(
            "project_id", "experiment_iid", "name", name=op.f("uq_saved_view_project_id_experiment_iid_name")
        ),
    )
    op.create_table(
        "request_verdict",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("level", string(16), nullable=False),
        sa.Column("outcome", string(16), nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("sentence", TEXT, nullable=False),
        sa.Column("models", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "merge_request_iid", "pipeline_id", name=op.f("pk_request_verdict")),
    )
