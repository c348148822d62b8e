"""Experiments, candidates, and what is logged to them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    FromClause,
    Index,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    literal_column,
)

from mltrail_server.domain.candidate import Status

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
    Column("artifact_location", Text),  # where clients store its runs' files, if elsewhere; null: here
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

saved_view = Table(
    "saved_view",  # a named state of an experiment's page
    METADATA,
    project_column(),
    number_column("id"),
    Column("experiment_iid", BigInteger, nullable=False),
    Column("name", String(100), nullable=False),
    Column("query", Text, nullable=False),  # of the page's address
    Column("created_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    UniqueConstraint("project_id", "experiment_iid", "name"),
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
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
    # What is logged to a candidate is stored under its `iid`. These are numbers without a candidate, for what is kept
    # beside it: what others have written, and what it was before a job that came later. See
    # `store/tracking/evidence.py`.
    Column("amendment_iid", BigInteger),
    Column("snapshot_iid", BigInteger),
    Column("protected", Boolean),  # made by a job of a protected branch or tag; null if no job's token has said
    Column("experiment_name", String(500)),  # its experiment's name when it was logged, if that was renamed since
    Column(
        "discarded", Boolean, nullable=False, default=False, server_default="0"
    ),  # deleted by the very job that made it
    Column("detached_until_ms", BigInteger),  # outlives its job until then, see services/tracking/detachments.py
    Column("promoted", Boolean, nullable=False, default=False),  # a promoted version is based on it, so it is frozen
    Column("elsewhere", Text),  # the URI of its files if clients store them elsewhere; null: here
    Column("origin_id", BigInteger),  # where it was imported from; null: logged here
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
# What is running in all projects of a person, for their first page.
Index(
    "ix_candidate_running",
    candidate.c.project_id,
    candidate.c.stage,
    candidate.c.started_ms.desc(),
    sqlite_where=candidate.c.status == Status.RUNNING,
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
    # SQLite has no NaN: it is stored as 0 with `is_nan`. An exact repetition is the same row, so a retry adds nothing.
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
    Column("unordered_appends", BigInteger),  # how often values came that may be out of order; null counts as 1
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
    sqlite_with_rowid=False,
)
UNINDEXED_TAGS = (
    "gitlab.CI_JOB_URL",
    "gitlab.CI_PIPELINE_SOURCE",
    "gitlab.CI_PIPELINE_URL",
    "gitlab.CI_PROJECT_ID",
    "gitlab.CI_PROJECT_PATH",
    "gitlab.verified",
)
"""Every run of a job has these tags. They say no more about it than indexed tags do, such as the job's ID, or are the
same for nearly all runs. In the index, each would change a page of its own whenever a run is created.
"""


def is_indexed(tags: FromClause) -> ColumnElement[bool]:
    """Return the condition that a tag's value is in the index `ix_candidate_tag_indexed_value`. A query uses the index
    only if it contains exactly this condition.
    """
    return tags.c.key.not_in([literal_column(f"'{key}'") for key in UNINDEXED_TAGS])


Index(
    "ix_candidate_tag_indexed_value",
    candidate_tag.c.project_id,
    candidate_tag.c.key,
    candidate_tag.c.value_start,
    candidate_tag.c.candidate_iid,
    sqlite_where=is_indexed(candidate_tag),
)

own_tag = Table(
    "own_tag",  # the value that a candidate's own jobs set, if others have set or deleted the tag since
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("key", String(250), primary_key=True),
    Column("value", Text),  # null if they set none
    sqlite_with_rowid=False,
)

amendment = Table(
    "amendment",  # who else has written to a candidate, and what
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("user_name", String(255), primary_key=True),
    Column("job_id", BigInteger, primary_key=True, autoincrement=False),  # 0 for a person
    Column("kinds", Text, nullable=False),  # e.g. "files, metrics"
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

tombstone = Table(
    "tombstone",  # a candidate whose data was removed for good, and who removed it: it was evidence
    METADATA,
    project_column(),
    number_column("pipeline_id"),
    number_column("candidate_iid"),
    Column("experiment", String(500), nullable=False),
    Column("name", Text, nullable=False),
    Column("tags", Text, nullable=False),  # set by its own jobs, as a JSON object
    Column("state", String(16), nullable=False),  # the state that it was in, see `domain.grouping.State`
    Column("removed_by", Text, nullable=False),
    Column("removed_ms", BigInteger, nullable=False),
    Index("ix_tombstone_candidate", "project_id", "candidate_iid"),
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
    Index("ix_candidate_dataset_dataset", "project_id", "dataset_id", "candidate_iid"),
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
