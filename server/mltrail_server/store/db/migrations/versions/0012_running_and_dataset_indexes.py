"""Find the runs that are running, and the runs that used a dataset, without reading all of a project's."""

from mltrail_server.store.db.indexes import add_index

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None
kind = "expand"
concurrently = True


def upgrade() -> None:
    add_index("ix_candidate_running", "candidate", ["project_id", "stage", "started_ms DESC"], where="status = 1")
    add_index("ix_candidate_dataset_dataset", "candidate_dataset", ["project_id", "dataset_id", "candidate_iid"])
