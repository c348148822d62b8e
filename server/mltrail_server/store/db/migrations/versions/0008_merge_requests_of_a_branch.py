"""Find the merge requests of the same branch or commit without reading all of a project."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_merge_request_source_branch", "merge_request", ["project_id", "source_branch"])
    op.create_index("ix_merge_request_head_sha", "merge_request", ["project_id", "head_sha"])
