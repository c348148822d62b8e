"""Leave tags that add nothing about a job's run out of the index of tag values: a new run changes six pages fewer.

Until a server of the previous version is replaced, it searches by tags without an index.
"""

from mltrail_server.store.db.indexes import add_index, remove_index

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None
kind = "expand"
concurrently = True

_INDEXED = (
    "(\"key\" NOT IN ('gitlab.CI_JOB_URL', 'gitlab.CI_PIPELINE_SOURCE', 'gitlab.CI_PIPELINE_URL', "
    "'gitlab.CI_PROJECT_ID', 'gitlab.CI_PROJECT_PATH', 'gitlab.verified'))"
)


def upgrade() -> None:
    columns = ["project_id", '"key"', "value_start", "candidate_iid"]
    add_index("ix_candidate_tag_indexed_value", "candidate_tag", columns, where=_INDEXED)
    remove_index("ix_candidate_tag_value")
