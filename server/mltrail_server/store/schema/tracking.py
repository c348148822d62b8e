"""Experiments, candidates, and what is logged to them."""

from sqlalchemy import BigInteger, Boolean, Column, Double, Index, SmallInteger, String, Table, Text, UniqueConstraint

from .base import METADATA, belongs_to, number_column, project_column, value_start_column

project = Table(
    "project",
    METADATA,
    project_column(),
    Column("path", String(1024)),
    Column("default_branch", String(1024)),
    Column("created_ms", BigInteger, nullable=False),
)

counter = Table(
    "counter",  # the last number given out, per project and kind of thing
    METADATA,
    project_column(),
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

experiment = Table(
    "experiment",
    METADATA,
    project_column(),
    number_column("iid"),
    Column("name", String(500), nullable=False),
    Column("stage", SmallInteger, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Column("artifact_location", Text),  # where clients put its runs' files by themselves; null: here
    UniqueConstraint("project_id", "name"),
)

experiment_tag = Table(
    "experiment_tag",
    METADATA,
    project_column(),
    number_column("experiment_iid"),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
    sqlite_with_rowid=False,
)

candidate = Table(
    "candidate",
    METADATA,
    project_column(),
    number_column("iid"),
    Column("eid", String(64), nullable=False),  # the MLflow run id
    Column("experiment_iid", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("status_reason", Text),  # why the server closed it, e.g. "job canceled"
    Column("stage", SmallInteger, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger),
    Column("created_ms", BigInteger, nullable=False),
    Column("deleted_ms", BigInteger),
    Column("amended", Boolean, nullable=False, default=False),  # written to by somebody else than its own jobs
    Column("detached_until_ms", BigInteger),  # outlives its job until then, see services/detachments.py
    Column("promoted", Boolean, nullable=False, default=False),  # a promoted version rests on it, so it is frozen
    Column("elsewhere", Text),  # the URI of its files, where clients put them by themselves; null: here
    UniqueConstraint("project_id", "eid"),
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
)
Index(
    "ix_candidate_newest",
    candidate.c.project_id,
    candidate.c.experiment_iid,
    candidate.c.stage,
    candidate.c.started_ms.desc(),
    candidate.c.eid,
)

metric_key = Table(
    "metric_key",  # metric rows hold this small number instead of the name
    METADATA,
    project_column(),
    number_column("id"),
    Column("name", String(250), nullable=False),
    UniqueConstraint("project_id", "name"),
)

metric = Table(
    "metric",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    number_column("key_id"),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("timestamp_ms", BigInteger, primary_key=True, autoincrement=False),
    # SQLite has no NaN: it stands as 0 with `is_nan`. An exact repetition is the same row, so a retry never doubles.
    Column("value", Double, primary_key=True),
    Column("is_nan", Boolean, primary_key=True),
    sqlite_with_rowid=False,
)

latest_metric = Table(
    "latest_metric",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    number_column("key_id"),
    Column("value", Double, nullable=False),
    Column("is_nan", Boolean, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Index("ix_latest_metric_value", "project_id", "key_id", "is_nan", "value", "candidate_iid"),
    sqlite_with_rowid=False,
)

param = Table(
    "param",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    value_start_column(),
    Index("ix_param_value", "project_id", "key", "value_start", "candidate_iid"),
    sqlite_with_rowid=False,
)

candidate_tag = Table(
    "candidate_tag",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    value_start_column(),
    Index("ix_candidate_tag_value", "project_id", "key", "value_start", "candidate_iid"),
    sqlite_with_rowid=False,
)

dataset = Table(
    "dataset",
    METADATA,
    project_column(),
    number_column("id"),
    Column("experiment_iid", BigInteger, nullable=False),
    Column("name", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source_type", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("schema", Text),
    Column("profile", Text),
    UniqueConstraint("project_id", "experiment_iid", "name", "digest"),
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
)

candidate_dataset = Table(
    "candidate_dataset",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    number_column("dataset_id"),
    sqlite_with_rowid=False,
)

candidate_dataset_tag = Table(
    "candidate_dataset_tag",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    number_column("dataset_id"),
    Column("key", String(255), primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)
