"""What is published in GitLab besides the note: thread, commit status, issue. And when webhooks last came."""

from sqlalchemy import BigInteger, Boolean, Column, String, Table, Text

from .base import METADATA, number_column, project_column

gate_thread = Table(
    "gate_thread",  # the thread that blocks a merge request while the gate fails
    METADATA,
    project_column(),
    number_column("merge_request_iid"),
    Column("discussion_id", String(64), nullable=False),
    Column("note_id", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),  # of its first note's body
    Column("resolved", Boolean, nullable=False),  # by us; whether a person has resolved it is seen in GitLab
    Column("seen_ms", BigInteger, nullable=False),
)

gate_override = Table(
    "gate_override",  # who has overridden which broken rules, and why; never changed
    METADATA,
    project_column(),
    number_column("merge_request_iid"),
    number_column("pipeline_id"),
    Column("rules", Text, nullable=False),  # the broken rules that it covers, as a JSON list
    Column("user_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

red_verdict = Table(
    "red_verdict",  # which models have failed the gate of a merge request, whatever became of note, thread and runs
    METADATA,
    project_column(),
    number_column("merge_request_iid"),
    Column("key", String(64), primary_key=True),  # digest of the two names, which may be too long for an index
    Column("target_branch", Text, nullable=False),
    Column("model_name", Text, nullable=False),
    Column("rules", Text, nullable=False),  # those that were last broken, as a JSON list
    Column("sha", String(64), nullable=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("passed_pipeline_id", BigInteger),  # the newest one whose runs of the model have passed
    Column("passed_ms", BigInteger),
)

request_verdict = Table(
    "request_verdict",  # what was last said of a merge request by each of its pipelines, for lists of them
    METADATA,
    project_column(),
    number_column("merge_request_iid"),
    number_column("pipeline_id"),
    Column("state", String(16), nullable=False),  # waiting, ready, empty
    Column("level", String(16), nullable=False),  # good, bad, neutral, unknown
    Column("outcome", String(16)),  # of the gate: pass, warn, fail
    Column("accepted", Boolean, nullable=False),  # somebody has overridden the gate
    Column("sentence", Text, nullable=False),
    Column("models", Text, nullable=False),  # their names and the metric that ranks, as a JSON list
    Column("at_ms", BigInteger, nullable=False),
)

case_use = Table(
    "case_use",  # which merge requests a test set has judged: it wears out
    METADATA,
    project_column(),
    Column("test_set", String(64), primary_key=True),  # digest of the cases' ids and labels
    number_column("merge_request_iid"),
    Column("at_ms", BigInteger, nullable=False),
)

gate_refusal = Table(
    "gate_refusal",  # what GitLab refused to publish, and why; deleted once GitLab has accepted it
    METADATA,
    project_column(),
    Column("kind", String(16), primary_key=True),  # thread, status, issue
    Column("subject", String(500), primary_key=True),  # the merge request's number; the model's name for an issue
    Column("problem", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

commit_status = Table(
    "commit_status",  # what a pipeline's status says: "failed: gate failed: 1 rule broken"
    METADATA,
    project_column(),
    number_column("pipeline_id"),
    Column("description", Text, nullable=False),
)

regression_issue = Table(
    "regression_issue",  # the open issue of a model that scheduled training has made worse
    METADATA,
    project_column(),
    Column("model_name", String(500), primary_key=True),
    Column("issue_iid", BigInteger, nullable=False),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

webhook = Table(
    "webhook",  # when each kind of event last came
    METADATA,
    project_column(),
    Column("kind", String(32), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),
)
