"""What services need, wired once in `app.create_app`."""

from dataclasses import dataclass, field

from mltrail_server.artifacts.base import FileStore
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import unavailable
from mltrail_server.domain.identity import Actor
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.access_tokens import AccessTokens
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.id_tokens import IdTokens
from mltrail_server.gitlab.job_tokens import JobTokens
from mltrail_server.gitlab.oauth import OAuth
from mltrail_server.settings import Settings
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project
from mltrail_server.store.tracking.metric_keys import KnownKeys

from .admissions import Admissions
from .call_limits import Lookups, Shares
from .job_cache import JobCache
from .job_states import JobStates

PROJECT_AGE_MS = 60 * 60_000
"""How old what we know of a GitLab project may be where nobody asks for the newest."""


@dataclass(frozen=True, slots=True)
class Deps:
    settings: Settings
    db: Database
    files: FileStore
    clock: Clock
    # The ways to GitLab; None in local mode.
    gitlab: GitLab | None = None
    id_tokens: IdTokens | None = None
    job_tokens: JobTokens | None = None
    access_tokens: AccessTokens | None = None
    oauth: OAuth | None = None  # None also where GitLab has no application for us
    admissions: Admissions = field(default_factory=Admissions)
    lookups: Lookups = field(default_factory=Lookups)
    job_states: JobStates = field(default_factory=JobStates)
    # A project's rows cost one write per process; after that it is known here.
    known_projects: set[tuple[ProjectId, str]] = field(default_factory=set)
    shares: Shares = field(default_factory=Shares)
    writers: JobCache = field(default_factory=JobCache)
    metric_keys: KnownKeys = field(default_factory=KnownKeys)

    def project(self, project_id: ProjectId) -> Project:
        return Project(self.db, project_id, self.clock)

    def ci(self, project_id: ProjectId) -> "Ci":
        """Return what works on a project's pipelines. Raises UNAVAILABLE in local mode, which has none."""
        if self.gitlab is None:
            raise unavailable(
                "This server has no connection to a GitLab: local mode knows no pipelines. MLTRAIL_GITLAB_URL names "
                "one."
            )
        return Ci(self, self.gitlab, self.project(project_id))


@dataclass(frozen=True, slots=True)
class Ci:
    """What works on a project's pipelines, which are GitLab's: there is none without a GitLab."""

    deps: Deps
    gitlab: GitLab
    project: Project

    @property
    def project_id(self) -> ProjectId:
        return self.project.project_id

    @property
    def now(self) -> int:
        return self.deps.clock()


@dataclass(frozen=True, slots=True)
class Scope:
    """One call's circumstances: who asks, in which project, with what at hand."""

    deps: Deps
    actor: Actor
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "project", self.deps.project(self.actor.project_id))

    @property
    def ci(self) -> Ci:
        """Raises UNAVAILABLE in local mode, which has no pipelines."""
        return self.deps.ci(self.actor.project_id)

    @property
    def project_id(self) -> ProjectId:
        return self.actor.project_id

    @property
    def now(self) -> int:
        return self.deps.clock()
