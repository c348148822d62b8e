"""The state of the stand-in."""

from dataclasses import dataclass, field
from typing import Literal

from .ml_state import Ml

Through = Literal["project", "group", "invited group"]


@dataclass
class User:
    id: int
    username: str
    state: str = "active"  # or "blocked"
    admin: bool = False


@dataclass
class Application:
    """An OAuth application."""

    client_id: str
    secret: str  # "" for a public one, which has only PKCE
    redirect_uri: str
    scopes: list[str]
    name: str = "mltrail"
    number: int = 0


@dataclass
class Group:
    """A group. Its webhooks are GitLab Premium's."""

    id: int
    path: str
    owners: set[int] = field(default_factory=set)  # users' IDs
    tokens: list["GroupToken"] = field(default_factory=list)
    hooks: dict[int, "Hook"] = field(default_factory=dict)


@dataclass
class GroupToken:
    id: int
    name: str
    expires_at: str
    access_level: int
    token: "Token"


@dataclass
class Grant:
    """A code that GitLab has issued at a sign-in."""

    application: Application
    user: User
    scopes: list[str]
    challenge: str


@dataclass
class Token:
    text: str
    user: User
    scopes: list[str]
    revoked: bool = False
    kind: str = "personal"  # project and group access tokens are of this kind too; or "oauth"
    expires: float | None = None  # OAuth tokens last two hours; in seconds since the epoch
    refresh: str | None = None
    application: Application | None = None
    expires_at: str = "2099-11-21"  # of a personal one; tests that go by the real clock must not find it near


@dataclass
class Commit:
    sha: str
    parents: tuple[str, ...]
    files: dict[str, str | bytes]
    message: str = "a change"


@dataclass
class Note:
    id: int
    body: str
    author: User
    merge_request_id: int
    merge_request_iid: int
    project_id: int


@dataclass
class Hook:
    id: int
    url: str
    token: str
    signing_token: str


@dataclass
class Discussion:
    """A thread: its first note can be resolved."""

    id: str
    notes: list[Note]
    resolved_by: User | None = None


@dataclass
class Issue:
    iid: int
    title: str
    description: str
    author: User
    state: str = "opened"


@dataclass
class MergeRequest:
    id: int
    iid: int
    title: str
    source_branch: str
    target_branch: str
    source_project_id: int
    author: User
    state: str = "opened"
    merge_commit_sha: str | None = None
    base_sha: str | None = None
    locked: bool = False  # only members can comment
    squash_commit_sha: str | None = None
    merged: float | None = None  # in seconds since the epoch
    labels: list[str] = field(default_factory=list)
    approved_by: list[User] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    discussions: list[Discussion] = field(default_factory=list)


@dataclass
class Pipeline:
    id: int
    iid: int
    project_id: int
    sha: str
    ref: str
    source: str
    tag: bool = False
    merge_request: MergeRequest | None = None
    parent: "Pipeline | None" = None  # of a child pipeline


@dataclass
class Job:
    id: int
    name: str
    stage: str
    pipeline: Pipeline
    user: User
    status: str = "created"
    failure_reason: str | None = None
    retried: bool = False
    finished: float | None = None  # in seconds since the epoch
    allow_failure: bool = False
    token: str = ""  # its CI_JOB_TOKEN


@dataclass
class Project:
    id: int
    path: str
    default_branch: str
    visibility: str
    members: dict[int, int] = field(default_factory=dict)
    through: dict[int, Through] = field(default_factory=dict)  # how indirect members belong to the project
    until: dict[int, str] = field(default_factory=dict)  # when memberships end, as a date
    archived: bool = False
    pending_deletion: bool = False
    features: str = "enabled"  # or "private", "disabled": who sees experiments, models and jobs
    former_paths: set[str] = field(default_factory=set)
    tags: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    protected: set[str] = field(default_factory=set)
    merge_requests: dict[int, MergeRequest] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)
    hooks: dict[int, Hook] = field(default_factory=dict)
    statuses: dict[int, list[tuple[str, str, str]]] = field(default_factory=dict)  # name, state, text by pipeline
    ml: Ml = field(default_factory=Ml)

    def ancestors(self, sha: str) -> list[str]:
        """A commit and its ancestors, newest first."""
        seen: dict[str, None] = {}
        waiting = [sha]
        while waiting:
            current = waiting.pop(0)
            if current in self.commits and current not in seen:
                seen[current] = None
                waiting += self.commits[current].parents
        return list(seen)

    def changes(self, sha: str, path: str) -> bool:
        """Whether a commit changes a file."""
        one = self.commits[sha]
        before = self.commits[one.parents[0]].files if one.parents and one.parents[0] in self.commits else {}
        return one.files.get(path) != before.get(path)

    def between(self, base: str | None, head: str) -> list[str]:
        """The commits that the head has and the base does not, newest first."""
        known = set(self.ancestors(base or ""))
        return [sha for sha in self.ancestors(head) if sha not in known]

    def merge_base(self, left: str, right: str) -> str | None:
        others = set(self.ancestors(right))
        return next((sha for sha in self.ancestors(left) if sha in others), None)


def pipeline_status(jobs: list[Job]) -> str:
    """A pipeline's status, from the newest attempts of its jobs."""
    states = {job.status for job in jobs if not job.retried}
    for status in ("running", "pending", "created", "failed", "canceled"):
        if status in states:
            return "running" if status in ("pending", "created") and "success" in states else status
    return "success" if states else "created"


def numbers_of(version: str) -> tuple[int, ...]:
    """A version's numbers, for comparison."""
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split("."))


FIRST_NUMBERS = {
    "user": 11,
    "project": 500,
    "merge_request": 7000,
    "pipeline": 901,
    "job": 5001,
    "note": 300,
    "hook": 1,
    "group": 70,
    "group_token": 800,
    "application": 1,
}
"""The first number of each kind of object."""
