"""What services need: the parts of the server, wired once in `app.create_deps`, and with them a project or a caller."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mltrail_server.artifacts.base import FileStore
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import unavailable
from mltrail_server.domain.identity import Actor
from mltrail_server.domain.ids import ProjectId
from mltrail_server.settings import Settings
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project
from mltrail_server.store.tracking.history_pages import HistoryOrders
from mltrail_server.store.tracking.metric_keys import MetricKeyCache

from .admissions import Admissions
from .call_limits import LookupLimit, SlowCallLimit
from .case_cache import CaseCache
from .job_cache import JobCache
from .job_states import JobStates
from .memberships import Memberships

if TYPE_CHECKING:
    # Loaded only where there is a GitLab.
    from mltrail_contract import TraceSettings
    from mltrail_server.gitlab.access_tokens import AccessTokens
    from mltrail_server.gitlab.client import GitLab
    from mltrail_server.gitlab.id_tokens import IdTokens
    from mltrail_server.gitlab.job_tokens import JobTokens
    from mltrail_server.gitlab.oauth import OAuth

PROJECT_AGE_MS = 60 * 60_000
"""How old our copy of a GitLab project's data may be, except where the newest is asked for."""


@dataclass(frozen=True, slots=True)
class TeamMode:
    """The clients for GitLab, and what was learnt from it lately. Local mode has none of it.

    `oauth` is None if GitLab has no application for this server.
    """

    gitlab: "GitLab"
    id_tokens: "IdTokens"
    job_tokens: "JobTokens"
    access_tokens: "AccessTokens"
    oauth: "OAuth | None" = None
    admissions: Admissions = field(default_factory=Admissions)
    memberships: Memberships = field(default_factory=Memberships)
    lookup_limit: LookupLimit = field(default_factory=LookupLimit)
    job_states: JobStates = field(default_factory=JobStates)


@dataclass(frozen=True, slots=True)
class Deps:
    settings: Settings
    db: Database
    files: FileStore
    clock: Clock
    team: TeamMode | None = None  # None in local mode
    # Making sure of a project's rows costs one write per process; from then on its path is known here.
    known_projects: dict[ProjectId, str] = field(default_factory=dict)
    # What the project's contract says about traces, and when it was read.
    trace_settings: "dict[ProjectId, tuple[int, TraceSettings]]" = field(default_factory=dict)
    slow_call_limit: SlowCallLimit = field(default_factory=SlowCallLimit)
    job_cache: JobCache = field(default_factory=JobCache)
    metric_key_cache: MetricKeyCache = field(default_factory=MetricKeyCache)
    history_orders: HistoryOrders = field(default_factory=HistoryOrders)
    case_cache: CaseCache = field(default_factory=CaseCache)

    @property
    def oauth(self) -> "OAuth | None":
        """GitLab's login, where this server has an application there."""
        return self.team.oauth if self.team is not None else None

    def project(self, project_id: ProjectId) -> Project:
        return Project(self.db, project_id, self.clock)

    def ci(self, project_id: ProjectId) -> "Ci":
        """Return what works with a project's pipelines. Raises UNAVAILABLE in local mode, which has none."""
        if self.team is None:
            raise unavailable(
                "This server has no connection to a GitLab: local mode knows no pipelines. MLTRAIL_GITLAB_URL names "
                "one."
            )
        return Ci(self, self.team.gitlab, self.project(project_id))


@dataclass(frozen=True, slots=True)
class Ci:
    """What works with a project's pipelines, which are GitLab's: so there is none without a GitLab."""

    deps: Deps
    gitlab: "GitLab"
    project: Project

    @property
    def project_id(self) -> ProjectId:
        return self.project.project_id

    @property
    def now(self) -> int:
        return self.deps.clock()


@dataclass(slots=True)  # not frozen: each call makes one, and a frozen one would take longer
class Scope:
    """Who asks, in which project, and with which parts of the server."""

    deps: Deps
    actor: Actor
    project: Project = field(init=False)

    def __post_init__(self) -> None:
        self.project = self.deps.project(self.actor.project_id)

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
