"""Who the caller is, and what they are allowed to do."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from .ids import ProjectId


class Role(IntEnum):
    """GitLab's access levels. Compare with >=, never by equality: GitLab adds levels in between.

    https://docs.gitlab.com/api/access_requests/#valid-access-levels
    """

    NONE = 0
    MINIMAL = 5
    GUEST = 10
    PLANNER = 15
    REPORTER = 20
    SECURITY_MANAGER = 25
    DEVELOPER = 30
    MAINTAINER = 40
    OWNER = 50


def role_of(level: int) -> Role:
    """Return the role of a level; one between two roles counts as the lower, since GitLab adds levels."""
    return max((role for role in Role if role <= level), default=Role.NONE)


def title_of(role: Role) -> str:
    """Name a role as GitLab's pages do."""
    return role.name.replace("_", " ").title()


class Access(IntEnum):
    """What a route needs, declared where it is registered."""

    READ = 1
    WRITE = 2
    READ_TRACES = 3  # what users of an application wrote to it, see `Actor.sees_traces`


def access_of(role: Role) -> Access | None:
    """Return what a role allows: Guest to Reporter can read, Developer to Owner can also write, others nothing."""
    if role >= Role.DEVELOPER:
        return Access.WRITE
    if role >= Role.GUEST:
        return Access.READ
    return None


class TokenKind(StrEnum):
    ID_TOKEN = "id_token"  # noqa: S105 - the name of a kind, not a secret
    JOB_TOKEN = "job_token"  # noqa: S105
    ACCESS_TOKEN = "access_token"  # noqa: S105
    OAUTH = "oauth"
    DETACHED = "detached"  # from `mltrail detach`, for a training that outlives its job
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class VerifiedClaims:
    """What a job's token proves. Only `gitlab.id_tokens` and `gitlab.job_tokens` create one, after every check has
    passed, and `domain.detachment` from claims that it has signed.

    https://docs.gitlab.com/ci/secrets/id_token_authentication/#token-payload
    """

    job_project_id: ProjectId  # where the job runs
    job_project_path: str
    source_project_id: ProjectId  # whose code runs; another one in a fork's merge request pipeline, 0 when not known
    job_id: int
    pipeline_id: int
    pipeline_source: str
    sha: str
    ref: str  # branch or tag; the source branch in a merge request pipeline
    ref_type: str  # "branch" or "tag"
    ref_protected: bool
    user_login: str
    user_role: Role  # in the source project; worthless if that is a fork
    expires_ms: int
    issued_ms: int = 0

    @property
    def from_fork(self) -> bool:
        """Whether the job runs a fork's code, or may do so: then it is hardly trusted."""
        return self.job_project_id != self.source_project_id


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller who has been admitted to one project."""

    kind: TokenKind
    project_id: ProjectId
    project_path: str
    user_name: str
    access: Access
    job: VerifiedClaims | None = None  # set when the token proves a CI job
    user_id: int | None = None
    limit: str = ""  # why it can only read, in words for a person who wants to write
    candidate_iid: int | None = None  # the only candidate that it can write to
    unchecked: bool = False  # GitLab could not be asked whether the job still runs
    role: Role = Role.NONE  # a person's; a job's is in its claims

    def may(self, access: Access, *, reads_traces: Role = Role.REPORTER) -> bool:
        """Return whether the caller may use a route that needs this. `reads_traces` is the role from which people
        read traces.
        """
        return self.sees_traces(reads_traces) if access is Access.READ_TRACES else self.access >= access

    def sees_traces(self, lowest: Role) -> bool:
        """Return whether the caller reads traces, which hold what customers wrote: members from the role `lowest`
        up, and the project's own jobs. A fork's job does not, since it runs foreign code; nor does a job that was
        started by a Guest.
        """
        if self.kind is TokenKind.LOCAL:
            return True
        if self.job is not None:
            return not self.job.from_fork and self.job.source_project_id != 0 and self.job.user_role >= Role.REPORTER
        return self.role >= lowest

    @property
    def sees_merge_requests(self) -> bool:
        """Whether GitLab shows the caller merge requests in a private project: from Reporter upwards."""
        return self.kind is TokenKind.LOCAL or self.job is not None or self.role >= Role.REPORTER

    @property
    def has_maintainer_rights(self) -> bool:
        """Whether the caller may change what was promoted: a Maintainer, or a job on a protected branch or tag."""
        if self.kind is TokenKind.LOCAL:
            return True
        if self.kind is TokenKind.DETACHED:
            return False
        if self.job is not None:
            reviewed = self.job.ref_protected and self.job.pipeline_source != "merge_request_event"
            return reviewed and not self.job.from_fork
        return self.access is Access.WRITE and self.role >= Role.MAINTAINER
