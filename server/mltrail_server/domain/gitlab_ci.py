"""What GitLab says about projects, pipelines, jobs and merge requests, reduced to what we use."""

from dataclasses import dataclass

SUCCEEDED = "success"
CHILD = "parent_pipeline"
"""The source of a pipeline that was started by another pipeline of the same project."""

DELETED = "deleted"
"""Our own status for a job or pipeline that GitLab no longer has, and whose end we have not seen."""

ENDED = frozenset({"success", "failed", "canceled", "skipped", DELETED})
"""The final statuses of a job or pipeline, unless a person retries it.

https://docs.gitlab.com/api/jobs/#job-status-values
"""

JOB_TAG = "gitlab.CI_JOB_ID"
"""The tag by which a client without a job's token claims a job: GitLab's contract."""

MERGE_REQUEST_TAG = "gitlab.CI_MERGE_REQUEST_IID"
"""In no token: written once GitLab has said which merge request a pipeline belongs to."""


@dataclass(frozen=True, slots=True)
class GitLabProject:
    id: int
    path: str
    default_branch: str | None
    web_url: str
    bot_level: int = 0  # the access level of the bot
    archived: bool = False


@dataclass(frozen=True, slots=True)
class GitLabPipeline:
    id: int
    iid: int | None
    sha: str
    ref: str  # `refs/merge-requests/7/head` in a merge request pipeline
    source: str
    status: str
    web_url: str
    tag: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    id: int
    name: str
    stage: str
    status: str
    pipeline_id: int
    web_url: str
    allow_failure: bool = False
    failure_reason: str | None = None
    retried: bool = False
    ref: str = ""  # `refs/merge-requests/7/head` in a merge request pipeline
    finished_ms: int | None = None
    user_id: int | None = None  # who started it
    user_blocked: bool = False  # whether that user is blocked


@dataclass(frozen=True, slots=True)
class GitLabMergeRequest:
    iid: int
    title: str
    state: str  # opened, closed, merged, locked
    source_branch: str
    target_branch: str
    source_project_id: int
    sha: str | None  # head of the source branch
    base_sha: str | None  # merge base of source and target
    web_url: str
    merge_commit_sha: str | None = None
    squash_commit_sha: str | None = None
    author_id: int | None = None
    locked: bool = False  # only members of the project may comment
    labels: tuple[str, ...] = ()
    merged_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Note:
    id: int
    body: str
    author_id: int
