"""what GitLab refused, by its kind"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, before, after in (
        ("gate_refusal", "face", "kind"),
        ("gate_refusal", "told", "problem"),
        ("commit_status", "told", "description"),
    ):
        op.alter_column(table, before, new_column_name=after)
