"""Traces, what people and scorers say of them, evaluation datasets and scorers.

The spans of a trace are in the file store: only where they lie, and the few facts that searches ask for, are here.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from .base import METADATA, belongs_to, number_column, project_column, value_start_column
from .files import blob
from .tracking import experiment

trace = Table(
    "trace",
    METADATA,
    project_column(),
    Column("id", String(64), primary_key=True),  # `tr-` and 32 hexadecimal digits; clients choose it
    Column("experiment_iid", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False),  # see `domain.traces.TraceState`
    Column("started_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("client_request_id", Text),
    Column("request_preview", Text),
    Column("response_preview", Text),
    Column("inputs_digest", String(64)),  # SHA-256 of the whole inputs, so that the same question is the same case
    Column("session", String(250)),  # of `mlflow.trace.session`, by which a conversation is found and deleted
    Column("end_user", String(250)),  # of `mlflow.trace.user`, by which a person's traces are found and deleted
    Column("job_id", BigInteger),  # whose token began it: nobody else changes it. Null: a person's
    Column("pipeline_id", BigInteger),  # of that job
    Column("protected", Boolean, nullable=False, default=False),  # whether that job ran for a protected branch or tag
    Column("user_name", Text, nullable=False),  # of the token that began it
    Column("announced", Boolean, nullable=False, default=False),  # by `POST traces`; spans alone may have come before
    Column("created_ms", BigInteger, nullable=False),  # by this server's clock, for retention
    Column("origin_id", BigInteger),  # where it was imported from; null: made here
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
)
Index(
    "ix_trace_newest",
    trace.c.project_id,
    trace.c.experiment_iid,
    trace.c.started_ms.desc(),
    trace.c.id,
)
Index("ix_trace_session", trace.c.project_id, trace.c.session)
Index("ix_trace_end_user", trace.c.project_id, trace.c.end_user)
Index("ix_trace_created", trace.c.project_id, trace.c.created_ms)

trace_tag = Table(
    "trace_tag",
    METADATA,
    project_column(),
    Column("trace_id", String(64), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    value_start_column(),
    Index("ix_trace_tag_value", "project_id", "key", "value_start", "trace_id"),
    sqlite_with_rowid=False,
)

trace_metadata = Table(
    "trace_metadata",  # like tags, but the trace's own: they never change once it has ended
    METADATA,
    project_column(),
    Column("trace_id", String(64), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    value_start_column(),
    Index("ix_trace_metadata_value", "project_id", "key", "value_start", "trace_id"),
    sqlite_with_rowid=False,
)

candidate_trace = Table(
    "candidate_trace",  # the runs that a trace belongs to: the one that made it, and those that it was linked to
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    Column("trace_id", String(64), primary_key=True),
    # Linked by one of the run's own jobs, or by anybody if no job's token vouches for the run: only such traces are
    # evidence.
    Column("own", Boolean, nullable=False),
    # The job that linked it first: what a later job links does not count where a run counts as it was before that job.
    Column("job_id", BigInteger),
    # Who has deleted the trace, which then has no other rows: evidence that was taken away is not the same as none.
    Column("deleted_by", Text),
    Index("ix_candidate_trace_trace", "project_id", "trace_id"),
    sqlite_with_rowid=False,
)

trace_prompt = Table(
    "trace_prompt",  # the versions of prompts that a trace used
    METADATA,
    project_column(),
    Column("trace_id", String(64), primary_key=True),
    Column("name", String(256), primary_key=True),
    Column("version", String(64), primary_key=True),
    Index("ix_trace_prompt_prompt", "project_id", "name", "version"),
    sqlite_with_rowid=False,
)

trace_spans = Table(
    "trace_spans",  # where spans lie: an exporter may send those of a trace in several parts
    METADATA,
    project_column(),
    Column("trace_id", String(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("blob_id", String(32), nullable=False),
    Column("encoding", SmallInteger, nullable=False),  # what the bytes are, see `services/traces/spans.py`
    Column("spans", Integer, nullable=False),  # how many
    Column("size", BigInteger, nullable=False),  # of the decompressed bytes
    Index("ix_trace_spans_blob", "project_id", "blob_id"),
    ForeignKeyConstraint(["project_id", "blob_id"], [blob.c.project_id, blob.c.id]),
    sqlite_with_rowid=False,
)

trace_span_name = Table(
    "trace_span_name",  # for searches: which spans a trace has, without their contents
    METADATA,
    project_column(),
    Column("trace_id", String(64), primary_key=True),
    Column("name", String(250), primary_key=True),
    Column("type", String(64), primary_key=True),
    Column("state", String(16), primary_key=True),  # OK, ERROR or UNSET
    Index("ix_trace_span_name_name", "project_id", "name", "trace_id"),
    sqlite_with_rowid=False,
)

assessment = Table(
    "assessment",
    METADATA,
    project_column(),
    Column("id", String(64), primary_key=True),
    Column("trace_id", String(64), nullable=False),
    Column("name", String(250), nullable=False),
    Column("kind", SmallInteger, nullable=False),  # see `domain.assessments.Kind`
    Column("value", Text, nullable=False),  # JSON
    value_start_column(),
    Column("error", Text),  # JSON, if a scorer failed
    Column("source_type", String(32), nullable=False),  # HUMAN, LLM_JUDGE, CODE
    Column("source_id", Text, nullable=False),
    Column("rationale", Text),
    Column("metadata", Text),  # a JSON object of texts
    Column("span_id", String(64)),
    Column("overrides", String(64)),  # the assessment that this one replaces
    Column("valid", Boolean, nullable=False),  # false once another one overrides it
    Column("run_eid", String(64)),  # of `mlflow.assessment.sourceRunId`: the evaluation that it comes from
    Column("scorer_digest", String(128)),  # of `mlflow.assessment.scorerDigest`
    Column("session", String(250)),  # of `mlflow.trace.session`: what was said of a whole conversation
    Column("job_id", BigInteger),  # whose token wrote it. Null: a person's, which is never evidence for a job's run
    Column("user_name", Text, nullable=False),  # of the token that wrote it
    Column("created_ms", BigInteger, nullable=False),  # as the client says
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_assessment_trace", "project_id", "trace_id", "created_ms"),
    Index("ix_assessment_run", "project_id", "run_eid"),
    Index("ix_assessment_session", "project_id", "session", "name"),
    Index("ix_assessment_value", "project_id", "name", "value_start", "trace_id"),
    sqlite_with_rowid=False,
)

evaluation_dataset = Table(
    "evaluation_dataset",
    METADATA,
    project_column(),
    Column("id", String(64), primary_key=True),  # `d-` and 32 hexadecimal digits
    Column("name", String(500), nullable=False),
    Column("schema", Text),  # JSON
    Column("profile", Text),  # JSON
    Column("digest", String(64)),
    Column("user_name", Text, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    Index("ix_evaluation_dataset_name", "project_id", "name"),
    sqlite_with_rowid=False,
)

evaluation_dataset_tag = Table(
    "evaluation_dataset_tag",
    METADATA,
    project_column(),
    Column("dataset_id", String(64), primary_key=True),
    Column("key", String(250), primary_key=True),
    Column("value", Text, nullable=False),
    belongs_to(evaluation_dataset, by=["dataset_id"], key=["id"]),
    sqlite_with_rowid=False,
)

evaluation_dataset_experiment = Table(
    "evaluation_dataset_experiment",
    METADATA,
    project_column(),
    Column("dataset_id", String(64), primary_key=True),
    number_column("experiment_iid"),
    belongs_to(evaluation_dataset, by=["dataset_id"], key=["id"]),
    Index("ix_evaluation_dataset_experiment_experiment", "project_id", "experiment_iid"),
    sqlite_with_rowid=False,
)

evaluation_record = Table(
    "evaluation_record",  # a row of an evaluation dataset
    METADATA,
    project_column(),
    Column("dataset_id", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),  # `dr-` and 32 hexadecimal digits
    Column("inputs_digest", String(64), nullable=False),  # records with the same inputs are one
    Column("inputs", Text, nullable=False),  # JSON, as are the next four
    Column("outputs", Text),
    Column("expectations", Text),
    Column("tags", Text),
    Column("source", Text),
    Column("source_type", String(32)),
    Column("source_id", Text),
    Column("user_name", Text, nullable=False),
    Column("updated_by", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("updated_ms", BigInteger, nullable=False),
    UniqueConstraint("project_id", "dataset_id", "inputs_digest"),
    belongs_to(evaluation_dataset, by=["dataset_id"], key=["id"]),
    sqlite_with_rowid=False,
)

scorer = Table(
    "scorer",
    METADATA,
    project_column(),
    Column("id", String(64), primary_key=True),
    Column("experiment_iid", BigInteger, nullable=False),
    Column("name", String(256), nullable=False),
    Column("last_version", BigInteger, nullable=False, default=0),  # a version's number is never given out twice
    UniqueConstraint("project_id", "experiment_iid", "name"),
    belongs_to(experiment, by=["experiment_iid"], key=["iid"]),
    sqlite_with_rowid=False,
)

scorer_version = Table(
    "scorer_version",
    METADATA,
    project_column(),
    Column("scorer_id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("serialized", Text, nullable=False),  # JSON, made and read by clients
    Column("user_name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    belongs_to(scorer, by=["scorer_id"], key=["id"]),
    sqlite_with_rowid=False,
)
