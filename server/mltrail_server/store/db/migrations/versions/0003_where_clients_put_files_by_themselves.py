"""where clients put files by themselves"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, column in (
        ("candidate", "elsewhere"),
        ("experiment", "artifact_location"),
        ("logged_model", "elsewhere"),
    ):
        kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
        op.add_column(table, sa.Column(column, kind, nullable=True))
