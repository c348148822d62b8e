"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = None
branch_labels = None
depends_on = None
kind = "expand"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def string(length: int) -> sa.String:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "alias_event",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        sa.Column("model_name", string(256), nullable=True),
        sa.Column("alias", string(255), nullable=False),
        sa.Column("from_number", sa.BigInteger(), nullable=True),
        sa.Column("to_number", sa.BigInteger(), nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_alias_event")),
    )
    op.create_index("ix_alias_event_model", "alias_event", ["project_id", "model_id", "id"], unique=False)
    op.create_table(
        "amendment",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user_name", string(255), nullable=False),
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kinds", TEXT, nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "user_name", "job_id", name=op.f("pk_amendment")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "assessment",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("name", string(250), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_start", string(32), sa.Computed("substr(value, 1, 32)", persisted=True), nullable=True),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("source_type", string(32), nullable=False),
        sa.Column("source_id", TEXT, nullable=False),
        sa.Column("rationale", TEXT, nullable=True),
        sa.Column("metadata", TEXT, nullable=True),
        sa.Column("span_id", string(64), nullable=True),
        sa.Column("overrides", string(64), nullable=True),
        sa.Column("valid", sa.Boolean(), nullable=False),
        sa.Column("run_eid", string(64), nullable=True),
        sa.Column("scorer_digest", string(128), nullable=True),
        sa.Column("session", string(250), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_assessment")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_assessment_run", "assessment", ["project_id", "run_eid"], unique=False)
    op.create_index("ix_assessment_session", "assessment", ["project_id", "session", "name"], unique=False)
    op.create_index("ix_assessment_trace", "assessment", ["project_id", "trace_id", "created_ms"], unique=False)
    op.create_index(
        "ix_assessment_value", "assessment", ["project_id", "name", "value_start", "trace_id"], unique=False
    )
    op.create_table(
        "blob",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", string(64), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("unreferenced_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_blob")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_blob_unreferenced",
        "blob",
        ["project_id", "unreferenced_ms"],
        unique=False,
        postgresql_where=sa.text("unreferenced_ms IS NOT NULL"),
        sqlite_where=sa.text("unreferenced_ms IS NOT NULL"),
    )
    op.create_table(
        "candidate_dataset",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "dataset_id", name=op.f("pk_candidate_dataset")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "candidate_dataset_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(255), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "candidate_iid", "dataset_id", "key", name=op.f("pk_candidate_dataset_tag")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "candidate_job",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("job_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.SmallInteger(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("after_pipeline", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("overdue", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("unchecked_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "job_id", name=op.f("pk_candidate_job")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_candidate_job_job", "candidate_job", ["project_id", "job_id"], unique=False)
    op.create_index("ix_candidate_job_pipeline", "candidate_job", ["project_id", "pipeline_id"], unique=False)
    op.create_table(
        "candidate_model",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", string(64), nullable=False),
        sa.Column("direction", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "candidate_iid", "model_id", "direction", name=op.f("pk_candidate_model")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "candidate_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_start", string(32), sa.Computed("substr(value, 1, 32)", persisted=True), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "key", name=op.f("pk_candidate_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_candidate_tag_value", "candidate_tag", ["project_id", "key", "value_start", "candidate_iid"], unique=False
    )
    op.create_table(
        "candidate_trace",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("deleted_by", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "trace_id", name=op.f("pk_candidate_trace")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_candidate_trace_trace", "candidate_trace", ["project_id", "trace_id"], unique=False)
    op.create_table(
        "case_use",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("test_set", string(64), nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "test_set", "merge_request_iid", name=op.f("pk_case_use")),
    )
    op.create_table(
        "commit_status",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "pipeline_id", name=op.f("pk_commit_status")),
    )
    op.create_table(
        "counter",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", string(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_counter")),
    )
    op.create_table(
        "due",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", string(32), nullable=False),
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("news_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "key", name=op.f("pk_due")),
    )
    op.create_index("ix_due_due", "due", ["due_ms"], unique=False)
    op.create_table(
        "evaluation_dataset",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("name", string(500), nullable=False),
        sa.Column("schema", TEXT, nullable=True),
        sa.Column("profile", TEXT, nullable=True),
        sa.Column("digest", string(64), nullable=True),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("updated_by", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_evaluation_dataset")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_evaluation_dataset_name", "evaluation_dataset", ["project_id", "name"], unique=False)
    op.create_table(
        "experiment",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", string(500), nullable=False),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("artifact_location", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "iid", name=op.f("pk_experiment")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_experiment_project_id_name")),
    )
    op.create_table(
        "gate_override",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rules", TEXT, nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "merge_request_iid", "pipeline_id", name=op.f("pk_gate_override")),
    )
    op.create_table(
        "gate_refusal",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", string(16), nullable=False),
        sa.Column("subject", string(500), nullable=False),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "subject", name=op.f("pk_gate_refusal")),
    )
    op.create_table(
        "gate_thread",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("discussion_id", string(64), nullable=False),
        sa.Column("note_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", string(64), nullable=False),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("seen_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "merge_request_iid", name=op.f("pk_gate_thread")),
    )
    op.create_table(
        "imported",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", string(24), nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=False),
        sa.Column("here", TEXT, nullable=False),
        sa.Column("fingerprint", string(64), nullable=False),
        sa.Column("counts", TEXT, nullable=False),
        sa.Column("written", TEXT, nullable=True),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", "key", name=op.f("pk_imported")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_imported_here", "imported", ["project_id", "kind", "here"], unique=False)
    op.create_table(
        "job",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("status", string(32), nullable=True),
        sa.Column("failure_reason", TEXT, nullable=True),
        sa.Column("web_url", TEXT, nullable=True),
        sa.Column("retried", sa.Boolean(), nullable=False),
        sa.Column("allow_failure", sa.Boolean(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=True),
        sa.Column("refreshed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_pipeline", "job", ["project_id", "pipeline_id"], unique=False)
    op.create_table(
        "latest_metric",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "key_id", name=op.f("pk_latest_metric")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_latest_metric_value",
        "latest_metric",
        ["project_id", "key_id", "is_nan", "value", "candidate_iid"],
        unique=False,
    )
    op.create_table(
        "merge_request",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("title", TEXT, nullable=False),
        sa.Column("state", string(32), nullable=False),
        sa.Column("source_branch", TEXT, nullable=False),
        sa.Column("source_project_id", sa.BigInteger(), nullable=True),
        sa.Column("target_branch", TEXT, nullable=False),
        sa.Column("base_sha", string(64), nullable=True),
        sa.Column("head_sha", string(64), nullable=True),
        sa.Column("compared", TEXT, nullable=True),
        sa.Column("web_url", TEXT, nullable=False),
        sa.Column("refreshed_ms", sa.BigInteger(), nullable=False),
        sa.Column("note_id", sa.BigInteger(), nullable=True),
        sa.Column("note_pipeline_id", sa.BigInteger(), nullable=True),
        sa.Column("note_sha256", string(64), nullable=True),
        sa.Column("note_problem", TEXT, nullable=True),
        sa.Column("note_failures", sa.BigInteger(), nullable=False),
        sa.Column("note_next_ms", sa.BigInteger(), nullable=True),
        sa.Column("note_written_ms", sa.BigInteger(), nullable=True),
        sa.Column("note_lease", string(32), nullable=True),
        sa.Column("note_lease_until_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "iid", name=op.f("pk_merge_request")),
    )
    op.create_index("ix_merge_request_head_sha", "merge_request", ["project_id", "head_sha"], unique=False)
    op.create_index("ix_merge_request_source_branch", "merge_request", ["project_id", "source_branch"], unique=False)
    op.create_table(
        "metric",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project_id", "candidate_iid", "key_id", "step", "timestamp_ms", "value", "is_nan", name=op.f("pk_metric")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "metric_key",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", string(250), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_metric_key")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_metric_key_project_id_name")),
    )
    op.create_table(
        "model",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", string(256), nullable=False),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_model")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_model_project_id_name")),
    )
    op.create_table(
        "origin",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", string(16), nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.Column("report", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_origin")),
    )
    op.create_table(
        "own_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "key", name=op.f("pk_own_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "param",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_start", string(32), sa.Computed("substr(value, 1, 32)", persisted=True), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "candidate_iid", "key", name=op.f("pk_param")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_param_value", "param", ["project_id", "key", "value_start", "candidate_iid"], unique=False)
    op.create_table(
        "pipeline",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("iid", sa.BigInteger(), nullable=True),
        sa.Column("sha", string(64), nullable=False),
        sa.Column("head_sha", string(64), nullable=True),
        sa.Column("ref", TEXT, nullable=False),
        sa.Column("is_tag", sa.Boolean(), nullable=False),
        sa.Column("source", string(64), nullable=False),
        sa.Column("status", string(32), nullable=True),
        sa.Column("web_url", TEXT, nullable=True),
        sa.Column("merge_request_iid", sa.BigInteger(), nullable=True),
        sa.Column("resolved", sa.Boolean(), nullable=False),
        sa.Column("on_default_branch", sa.Boolean(), nullable=False),
        sa.Column("root_id", sa.BigInteger(), nullable=True),
        sa.Column("report_job_id", sa.BigInteger(), nullable=True),
        sa.Column("tree", string(64), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("refreshed_ms", sa.BigInteger(), nullable=True),
        sa.Column("contract", TEXT, nullable=True),
        sa.Column("proposed_contract", TEXT, nullable=True),
        sa.Column("changed_paths", TEXT, nullable=True),
        sa.Column("changed_at", TEXT, nullable=True),
        sa.Column("contract_ms", sa.BigInteger(), nullable=True),
        sa.Column("contract_ref", TEXT, nullable=True),
        sa.Column("contract_problem", TEXT, nullable=True),
        sa.Column("proposed_problem", TEXT, nullable=True),
        sa.Column("earlier_contract", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_pipeline")),
    )
    op.create_index("ix_pipeline_merge_request", "pipeline", ["project_id", "merge_request_iid"], unique=False)
    op.create_index("ix_pipeline_ref", "pipeline", ["project_id", "ref", "id"], unique=False)
    op.create_index("ix_pipeline_report_job", "pipeline", ["project_id", "report_job_id"], unique=False)
    op.create_index("ix_pipeline_root", "pipeline", ["project_id", "root_id"], unique=False)
    op.create_table(
        "project",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("path", string(1024), nullable=True),
        sa.Column("default_branch", string(1024), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_project")),
    )
    op.create_table(
        "promotion",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_name", string(256), nullable=True),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("semver", string(255), nullable=False),
        sa.Column("pre_release", sa.Boolean(), nullable=False),
        sa.Column("alias", string(255), nullable=True),
        sa.Column("candidate_iid", sa.BigInteger(), nullable=False),
        sa.Column("trained_in", sa.BigInteger(), nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("bump", string(16), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("attestation", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("project_id", "model_id", "pipeline_id", name=op.f("pk_promotion")),
    )
    op.create_index("ix_promotion_name", "promotion", ["project_id", "model_name"], unique=False)
    op.create_table(
        "red_verdict",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("merge_request_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(64), nullable=False),
        sa.Column("target_branch", TEXT, nullable=False),
        sa.Column("model_name", TEXT, nullable=False),
        sa.Column("rules", TEXT, nullable=False),
        sa.Column("sha", string(64), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("passed_pipeline_id", sa.BigInteger(), nullable=True),
        sa.Column("passed_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "merge_request_iid", "key", name=op.f("pk_red_verdict")),
    )
    op.create_table(
        "regression_issue",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_name", string(500), nullable=False),
        sa.Column("issue_iid", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("sha256", string(64), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model_name", name=op.f("pk_regression_issue")),
    )
    op.create_table(
        "tombstone",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment", string(500), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("tags", TEXT, nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.Column("removed_by", TEXT, nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "pipeline_id", "candidate_iid", name=op.f("pk_tombstone")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tombstone_candidate", "tombstone", ["project_id", "candidate_iid"], unique=False)
    op.create_table(
        "trace_metadata",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_start", string(32), sa.Computed("substr(value, 1, 32)", persisted=True), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "key", name=op.f("pk_trace_metadata")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_trace_metadata_value", "trace_metadata", ["project_id", "key", "value_start", "trace_id"], unique=False
    )
    op.create_table(
        "trace_prompt",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("name", string(256), nullable=False),
        sa.Column("version", string(64), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "name", "version", name=op.f("pk_trace_prompt")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_prompt_prompt", "trace_prompt", ["project_id", "name", "version"], unique=False)
    op.create_table(
        "trace_span_name",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("name", string(250), nullable=False),
        sa.Column("type", string(64), nullable=False),
        sa.Column("state", string(16), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "name", "type", "state", name=op.f("pk_trace_span_name")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_span_name_name", "trace_span_name", ["project_id", "name", "trace_id"], unique=False)
    op.create_table(
        "trace_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.Column("value_start", string(32), sa.Computed("substr(value, 1, 32)", persisted=True), nullable=True),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "key", name=op.f("pk_trace_tag")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_tag_value", "trace_tag", ["project_id", "key", "value_start", "trace_id"], unique=False)
    op.create_table(
        "upload",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(32), nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("store_id", TEXT, nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_upload")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "web_session",
        sa.Column("id_sha256", string(64), nullable=False),
        sa.Column("sealed", TEXT, nullable=False),
        sa.Column("refresh_ms", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id_sha256", name=op.f("pk_web_session")),
    )
    op.create_index("ix_web_session_expires", "web_session", ["expires_ms"], unique=False)
    op.create_table(
        "webhook",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", string(32), nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "kind", name=op.f("pk_webhook")),
    )
    op.create_table(
        "candidate",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("eid", string(64), nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("status_reason", TEXT, nullable=True),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), nullable=True),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("amendment_iid", sa.BigInteger(), nullable=True),
        sa.Column("snapshot_iid", sa.BigInteger(), nullable=True),
        sa.Column("protected", sa.Boolean(), nullable=True),
        sa.Column("experiment_name", string(500), nullable=True),
        sa.Column("discarded", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("detached_until_ms", sa.BigInteger(), nullable=True),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("elsewhere", TEXT, nullable=True),
        sa.Column("origin_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_candidate_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "iid", name=op.f("pk_candidate")),
        sa.UniqueConstraint("project_id", "eid", name=op.f("uq_candidate_project_id_eid")),
    )
    op.create_index(
        "ix_candidate_newest",
        "candidate",
        ["project_id", "experiment_iid", "stage", sa.literal_column("started_ms DESC"), "eid"],
        unique=False,
    )
    op.create_table(
        "dataset",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("name", string(500), nullable=False),
        sa.Column("digest", string(64), nullable=False),
        sa.Column("source_type", string(64), nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("schema", TEXT, nullable=True),
        sa.Column("profile", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_dataset_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_dataset")),
        sa.UniqueConstraint(
            "project_id",
            "experiment_iid",
            "name",
            "digest",
            name=op.f("uq_dataset_project_id_experiment_iid_name_digest"),
        ),
    )
    op.create_table(
        "evaluation_dataset_experiment",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", string(64), nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "dataset_id"],
            ["evaluation_dataset.project_id", "evaluation_dataset.id"],
            name=op.f("fk_evaluation_dataset_experiment_evaluation_dataset"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "dataset_id", "experiment_iid", name=op.f("pk_evaluation_dataset_experiment")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_evaluation_dataset_experiment_experiment",
        "evaluation_dataset_experiment",
        ["project_id", "experiment_iid"],
        unique=False,
    )
    op.create_table(
        "evaluation_dataset_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", string(64), nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "dataset_id"],
            ["evaluation_dataset.project_id", "evaluation_dataset.id"],
            name=op.f("fk_evaluation_dataset_tag_evaluation_dataset"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "dataset_id", "key", name=op.f("pk_evaluation_dataset_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "evaluation_record",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_id", string(64), nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("inputs_digest", string(64), nullable=False),
        sa.Column("inputs", TEXT, nullable=False),
        sa.Column("outputs", TEXT, nullable=True),
        sa.Column("expectations", TEXT, nullable=True),
        sa.Column("tags", TEXT, nullable=True),
        sa.Column("source", TEXT, nullable=True),
        sa.Column("source_type", string(32), nullable=True),
        sa.Column("source_id", TEXT, nullable=True),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("updated_by", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "dataset_id"],
            ["evaluation_dataset.project_id", "evaluation_dataset.id"],
            name=op.f("fk_evaluation_record_evaluation_dataset"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "dataset_id", "id", name=op.f("pk_evaluation_record")),
        sa.UniqueConstraint(
            "project_id",
            "dataset_id",
            "inputs_digest",
            name=op.f("uq_evaluation_record_project_id_dataset_id_inputs_digest"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "experiment_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_experiment_tag_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "experiment_iid", "key", name=op.f("pk_experiment_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "file",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("blob_id", string(32), nullable=False),
        sa.ForeignKeyConstraint(["project_id", "blob_id"], ["blob.project_id", "blob.id"], name=op.f("fk_file_blob")),
        sa.PrimaryKeyConstraint("project_id", "path", name=op.f("pk_file")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_blob", "file", ["project_id", "blob_id"], unique=False)
    op.create_table(
        "logged_model",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", string(64), nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("model_type", TEXT, nullable=False),
        sa.Column("source_eid", string(64), nullable=False),
        sa.Column("beside", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("status_message", TEXT, nullable=True),
        sa.Column("stage", sa.SmallInteger(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("elsewhere", TEXT, nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_logged_model_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", name=op.f("pk_logged_model")),
    )
    op.create_index(
        "ix_logged_model_newest",
        "logged_model",
        ["project_id", "experiment_iid", "stage", sa.literal_column("created_ms DESC"), "model_id"],
        unique=False,
    )
    op.create_table(
        "model_alias",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("alias", string(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["model.project_id", "model.id"],
            name=op.f("fk_model_alias_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "alias", name=op.f("pk_model_alias")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["model.project_id", "model.id"],
            name=op.f("fk_model_tag_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "key", name=op.f("pk_model_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_version",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("semver", string(255), nullable=False),
        sa.Column("candidate_iid", sa.BigInteger(), nullable=True),
        sa.Column("logged_model_id", string(64), nullable=True),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("location", TEXT, nullable=False),
        sa.Column("run_link", TEXT, nullable=True),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("stage", string(32), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.Column("deleted_ms", sa.BigInteger(), nullable=True),
        sa.Column("deleted_by", TEXT, nullable=True),
        sa.Column("promoted", sa.Boolean(), nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["model.project_id", "model.id"],
            name=op.f("fk_model_version_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "number", name=op.f("pk_model_version")),
        sa.UniqueConstraint("project_id", "id", name=op.f("uq_model_version_project_id_id")),
        sa.UniqueConstraint(
            "project_id", "model_id", "semver", name=op.f("uq_model_version_project_id_model_id_semver")
        ),
    )
    op.create_table(
        "scorer",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("name", string(256), nullable=False),
        sa.Column("last_version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_scorer_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_scorer")),
        sa.UniqueConstraint(
            "project_id", "experiment_iid", "name", name=op.f("uq_scorer_project_id_experiment_iid_name")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "trace",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", string(64), nullable=False),
        sa.Column("experiment_iid", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("started_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=True),
        sa.Column("client_request_id", TEXT, nullable=True),
        sa.Column("request_preview", TEXT, nullable=True),
        sa.Column("response_preview", TEXT, nullable=True),
        sa.Column("inputs_digest", string(64), nullable=True),
        sa.Column("session", string(250), nullable=True),
        sa.Column("end_user", string(250), nullable=True),
        sa.Column("job_id", sa.BigInteger(), nullable=True),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=True),
        sa.Column("protected", sa.Boolean(), nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("announced", sa.Boolean(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("origin_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id", "experiment_iid"],
            ["experiment.project_id", "experiment.iid"],
            name=op.f("fk_trace_experiment"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "id", name=op.f("pk_trace")),
    )
    op.create_index("ix_trace_created", "trace", ["project_id", "created_ms"], unique=False)
    op.create_index("ix_trace_end_user", "trace", ["project_id", "end_user"], unique=False)
    op.create_index(
        "ix_trace_newest",
        "trace",
        ["project_id", "experiment_iid", sa.literal_column("started_ms DESC"), "id"],
        unique=False,
    )
    op.create_index("ix_trace_session", "trace", ["project_id", "session"], unique=False)
    op.create_table(
        "trace_spans",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trace_id", string(64), nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("blob_id", string(32), nullable=False),
        sa.Column("encoding", sa.SmallInteger(), nullable=False),
        sa.Column("spans", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "blob_id"], ["blob.project_id", "blob.id"], name=op.f("fk_trace_spans_blob")
        ),
        sa.PrimaryKeyConstraint("project_id", "trace_id", "part", name=op.f("pk_trace_spans")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_trace_spans_blob", "trace_spans", ["project_id", "blob_id"], unique=False)
    op.create_table(
        "logged_model_metric",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", string(64), nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("eid", string(64), nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("dataset_name", string(500), nullable=False),
        sa.Column("dataset_digest", string(64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("is_nan", sa.Boolean(), nullable=False),
        sa.Column("beside", sa.Boolean(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["logged_model.project_id", "logged_model.model_id"],
            name=op.f("fk_logged_model_metric_logged_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "project_id", "model_id", "key", "eid", "step", "timestamp_ms", name=op.f("pk_logged_model_metric")
        ),
    )
    op.create_table(
        "logged_model_param",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", string(64), nullable=False),
        sa.Column("key", string(255), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["logged_model.project_id", "logged_model.model_id"],
            name=op.f("fk_logged_model_param_logged_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "key", name=op.f("pk_logged_model_param")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "logged_model_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", string(64), nullable=False),
        sa.Column("key", string(255), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id"],
            ["logged_model.project_id", "logged_model.model_id"],
            name=op.f("fk_logged_model_tag_logged_model"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "key", name=op.f("pk_logged_model_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model_version_tag",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", string(250), nullable=False),
        sa.Column("value", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "model_id", "number"],
            ["model_version.project_id", "model_version.model_id", "model_version.number"],
            name=op.f("fk_model_version_tag_model_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "model_id", "number", "key", name=op.f("pk_model_version_tag")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "scorer_version",
        sa.Column("project_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scorer_id", string(64), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("serialized", TEXT, nullable=False),
        sa.Column("user_name", TEXT, nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "scorer_id"],
            ["scorer.project_id", "scorer.id"],
            name=op.f("fk_scorer_version_scorer"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "scorer_id", "version", name=op.f("pk_scorer_version")),
        sqlite_with_rowid=False,
    )
