"""What we know from GitLab: pipelines, jobs, merge requests, and which candidates they made."""

from sqlalchemy import BigInteger, Boolean, Column, Index, SmallInteger, String, Table, Text

from .base import METADATA, number_column, project_column

pipeline = Table(
    "pipeline",
    METADATA,
    project_column(),
    number_column("id"),
    Column("iid", BigInteger),
    Column("sha", String(64), nullable=False),
    Column("head_sha", String(64)),  # the merge request's commit that it is for, if it runs on a merged one
    Column("ref", Text, nullable=False),
    Column("is_tag", Boolean, nullable=False, default=False),  # a tag may have the same name as a branch
    Column("source", String(64), nullable=False),
    Column("status", String(32)),  # GitLab's word; null until GitLab was asked
    Column("web_url", Text),
    Column("merge_request_iid", BigInteger),
    Column("resolved", Boolean, nullable=False, default=False),  # whether the merge request was looked up
    Column("on_default_branch", Boolean, nullable=False, default=False),
    Column("root_id", BigInteger),  # the pipeline that a child counts towards, or its own id if it has no parent
    Column("report_job_id", BigInteger),  # the job that last asked for the report
    Column("tree", String(64)),  # digest of the commit's files, see domain/reviewed.py; the commit itself may vanish
    Column("created_ms", BigInteger, nullable=False),
    Column("refreshed_ms", BigInteger),
    Column("contract", Text),  # the contract file that binds it: the target branch's; null if there is none
    Column("proposed_contract", Text),  # the merge request's own, if it differs; "" if it is removed
    Column("changed_paths", Text),  # what the merge request changes, as a JSON list; null if that is not known
    Column("changed_at", Text),  # the target branch, merge base and head of these changes
    Column("contract_ms", BigInteger),  # when the file was requested; null until it was
    Column("contract_ref", Text),  # the branch that it was read from; null if it is the commit's own
    Column("contract_problem", Text),  # why the file that binds it could not be read, as JSON
    Column("proposed_problem", Text),  # and why the merge request's own could not
    Column("earlier_contract", Text),  # if the file can't be read: the branch's last one that could be
    Index("ix_pipeline_ref", "project_id", "ref", "id"),
    Index("ix_pipeline_merge_request", "project_id", "merge_request_iid"),
    Index("ix_pipeline_root", "project_id", "root_id"),
    Index("ix_pipeline_report_job", "project_id", "report_job_id"),
)

job = Table(
    "job",
    METADATA,
    project_column(),
    number_column("id"),
    Column("pipeline_id", BigInteger, nullable=False),
    Column("name", Text),
    Column("status", String(32)),  # GitLab's word; null until GitLab was asked
    Column("failure_reason", Text),
    Column("web_url", Text),
    Column("retried", Boolean, nullable=False, default=False),  # a newer attempt took its place
    Column("allow_failure", Boolean, nullable=False, default=False),
    Column("asked_ms", BigInteger),  # when it first asked for a report: it waits for the others, and none waits for it
    Column("refreshed_ms", BigInteger),
    Index("ix_job_pipeline", "project_id", "pipeline_id"),
)

candidate_job = Table(
    "candidate_job",
    METADATA,
    project_column(),
    number_column("candidate_iid"),
    number_column("job_id"),
    Column("pipeline_id", BigInteger, nullable=False),  # of a child pipeline's job: the root, once it is known
    Column("part", SmallInteger, nullable=False),  # 0 creator, 1 contributor
    Column("verified", Boolean, nullable=False),  # by a job's token, or only claimed by a tag
    Column(
        "late", Boolean, nullable=False, default=False, server_default="0"
    ),  # it came after the run had ended: see `snapshot_iid`
    Column(
        "after_pipeline", Boolean, nullable=False, default=False, server_default="0"
    ),  # and after all of the pipeline had ended
    Column("overdue", Boolean, nullable=False, default=False, server_default="0"),  # it has written after its own end
    Column("unchecked_ms", BigInteger),  # last write while GitLab could not say whether the job was still running
    Index("ix_candidate_job_pipeline", "project_id", "pipeline_id"),
    Index("ix_candidate_job_job", "project_id", "job_id"),
    sqlite_with_rowid=False,
)

merge_request = Table(
    "merge_request",
    METADATA,
    project_column(),
    number_column("iid"),
    Column("title", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("source_branch", Text, nullable=False),
    Column("source_project_id", BigInteger),  # of another project if it comes from a fork
    Column("target_branch", Text, nullable=False),
    Column("base_sha", String(64)),
    Column("head_sha", String(64)),
    Column("compared", Text),  # which files differ between earlier commits and the newest one, as JSON
    Column("web_url", Text, nullable=False),
    Column("refreshed_ms", BigInteger, nullable=False),
    Column("note_id", BigInteger),
    Column("note_pipeline_id", BigInteger),  # the pipeline that the note is about; an older one never overwrites it
    Column("note_sha256", String(64)),  # of the body that was last written: the same is not sent again
    Column("note_problem", Text),  # why the last attempt to post failed
    Column("note_failures", BigInteger, nullable=False, default=0),  # attempts in a row that failed
    Column("note_next_ms", BigInteger),  # not to be tried before then, unless somebody asks
    Column("note_written_ms", BigInteger),
    Column("note_lease", String(32)),  # who is posting at the moment, and until when nobody else may
    Column("note_lease_until_ms", BigInteger),
    Index("ix_merge_request_source_branch", "project_id", "source_branch"),
    Index("ix_merge_request_head_sha", "project_id", "head_sha"),
)

due = Table(
    "due",  # what the worker has to look at, and when
    METADATA,
    project_column(),
    Column("kind", String(32), primary_key=True),
    number_column("key"),
    Column("due_ms", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False, default=0),
    Column("claimed_until_ms", BigInteger),
    Column("news_ms", BigInteger, nullable=False),  # last marked: the longer ago, the less often it is looked at
    Index("ix_due_due", "due_ms"),
)
