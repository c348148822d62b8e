"""Note whether a history's values are in the order of time when they are read in the order of steps.

As long as servers without this column run, a value that one of them adds out of order is not noted. Then pages of that
history have all its values, but in the order of steps.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None
kind = "expand"


def upgrade() -> None:
    op.add_column("latest_metric", sa.Column("unordered_appends", sa.BigInteger(), nullable=True))
