"""Models, their versions and aliases, and the models that MLflow 3 logs."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from .base import METADATA, belongs_to, number_column, project_column
from .tracking import experiment

model = Table(
    "model",
    METADATA,
    project_column(),
    number_column("id"),
    Column("name", String(256), nullable=False),
    Column("description", Text),
    Column("user_name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("last_number", BigInteger, nullable=False, default=0),  # a version's number is never given out twice
    UniqueConstraint("project_id", "name"),
)

model_tag = Table(
    "model_tag",
    METADATA,
    project_column(),
    number_column("model_id"),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(model, by=["model_id"], key=["id"]),
    sqlite_with_rowid=False,
)

model_version = Table(
    "model_version",
    METADATA,
    project_column(),
    number_column("model_id"),
    number_column("number"),  # MLflow's version
    Column("id", BigInteger, nullable=False),  # unique in the project, as GitLab's URLs require
    Column("semver", String(255), nullable=False),
    Column("candidate_iid", BigInteger),
    Column("logged_model_id", String(64)),
    Column("source", Text, nullable=False),  # as the client gave it
    Column("location", Text, nullable=False),  # folder of its files in the project, or a URI elsewhere
    Column("run_link", Text),
    Column("description", Text),
    Column("user_name", Text, nullable=False),
    Column("stage", String(32), nullable=False),  # MLflow's None, Staging, Production, Archived
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),  # a deleted version keeps its row, so that its semver is never used again
    Column("deleted_by", Text),
    Column("promoted", Boolean, nullable=False, default=False),  # by a promotion; only Maintainers can change it
    Column("origin_id", BigInteger),  # where it was imported from; null: registered here
    UniqueConstraint("project_id", "id"),
    UniqueConstraint("project_id", "model_id", "semver"),
    belongs_to(model, by=["model_id"], key=["id"]),
)

model_version_tag = Table(
    "model_version_tag",
    METADATA,
    project_column(),
    number_column("model_id"),
    number_column("number"),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(model_version, by=["model_id", "number"], key=["model_id", "number"]),
    sqlite_with_rowid=False,
)

model_alias = Table(
    "model_alias",
    METADATA,
    project_column(),
    number_column("model_id"),
    Column("alias", String(255), primary_key=True),
    Column("number", BigInteger, nullable=False),
    belongs_to(model, by=["model_id"], key=["id"]),
    sqlite_with_rowid=False,
)

alias_event = Table(
    "alias_event",  # who moved which alias, when and from which pipeline; it outlives its model
    METADATA,
    project_column(),
    number_column("id"),
    Column("model_id", BigInteger, nullable=False),
    Column("model_name", String(256)),  # at that time
    Column("alias", String(255), nullable=False),
    Column("from_number", BigInteger),
    Column("to_number", BigInteger),
    Column("at_ms", BigInteger, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("pipeline_id", BigInteger),
    Column("reason", Text),  # why, if somebody has said so
    Index("ix_alias_event_model", "project_id", "model_id", "id"),
)

promotion = Table(
    "promotion",  # one per model and pipeline; it outlives its model, whose numbers it keeps taken
    METADATA,
    project_column(),
    number_column("model_id"),
    Column("model_name", String(256)),  # at that time
    number_column("pipeline_id"),
    Column("number", BigInteger, nullable=False),
    Column("semver", String(255), nullable=False),
    Column("pre_release", Boolean, nullable=False, default=False),  # of a merge request; it never gets the alias
    Column("alias", String(255)),  # that it moved, if any; from then on only Maintainers can move it
    Column("candidate_iid", BigInteger, nullable=False),
    Column("trained_in", BigInteger, nullable=False),  # the pipeline that made the candidate
    Column("merge_request_iid", BigInteger),
    Column("job_id", BigInteger),  # null when a person promoted
    Column("bump", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("attestation", Text),  # the provenance statement in its envelope, as JSON
    Index("ix_promotion_name", "project_id", "model_name"),
)

logged_model = Table(
    "logged_model",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("experiment_iid", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("model_type", Text, nullable=False),
    Column("source_eid", String(64), nullable=False),  # "" when no candidate made it
    Column(
        "beside", Boolean, nullable=False, default=False, server_default="0"
    ),  # logged to its run by somebody other than the run's own jobs
    Column("status", SmallInteger, nullable=False),
    Column("status_message", Text),
    Column("stage", SmallInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("elsewhere", Text),  # the URI of its files if clients store them elsewhere; null: here
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
)
Index(
    "ix_logged_model_newest",
    logged_model.c.project_id,
    logged_model.c.experiment_iid,
    logged_model.c.stage,
    logged_model.c.created_ms.desc(),
    logged_model.c.model_id,
)

logged_model_tag = Table(
    "logged_model_tag",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(logged_model, by=["model_id"], key=["model_id"]),
    sqlite_with_rowid=False,
)

logged_model_param = Table(
    "logged_model_param",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(logged_model, by=["model_id"], key=["model_id"]),
    sqlite_with_rowid=False,
)

logged_model_metric = Table(
    "logged_model_metric",
    METADATA,
    project_column(),
    Column("model_id", String(64), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("eid", String(64), primary_key=True),  # the candidate that logged it
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("timestamp_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("dataset_name", String(500), nullable=False),
    Column("dataset_digest", String(64), nullable=False),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column(
        "beside", Boolean, nullable=False, default=False, server_default="0"
    ),  # measured by somebody who may not measure it
    belongs_to(logged_model, by=["model_id"], key=["model_id"]),
)

candidate_model = Table(
    "candidate_model",  # which logged models a candidate used or produced
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("model_id", String(64), primary_key=True),
    Column("direction", SmallInteger, primary_key=True, autoincrement=False),  # 0 input, 1 output
    Column("step", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
