"""Wire what talks to GitLab. Local mode has none of it, and does not load it."""

from .domain.clock import Clock
from .gitlab.access_tokens import AccessTokens
from .gitlab.client import GitLab
from .gitlab.connections import TIMEOUT_SECONDS, Connections
from .gitlab.id_tokens import IdTokens
from .gitlab.job_tokens import JobTokens
from .gitlab.oauth import OAuth
from .gitlab.older_gitlab import OlderGitLab
from .services.context.deps import TeamMode
from .services.identity import projects
from .settings import Settings
from .store.db.database import Database
from .store.db.project import Project


def create_team(
    settings: Settings, database: Database, clock: Clock, *, timeout_seconds: float | None = None
) -> TeamMode:
    sessions = Connections(settings.gitlab_url, clock, timeout_seconds=timeout_seconds or TIMEOUT_SECONDS)
    gitlab = GitLab(
        sessions,
        settings.gitlab_token,
        tokens=settings.bot_tokens,
        path_of=lambda number: projects.path_of(Project(database, number, clock)),
    )
    id_tokens = IdTokens(issuer=settings.issuer, audience=settings.external_url, clock=clock, older=OlderGitLab(gitlab))
    return TeamMode(
        gitlab, id_tokens, JobTokens(sessions, gitlab), AccessTokens(sessions, clock), _oauth(settings, clock)
    )


def _oauth(settings: Settings, clock: Clock) -> OAuth | None:
    if not settings.oauth_client_id:
        return None
    return OAuth(
        settings.gitlab_url,
        client_id=settings.oauth_client_id,
        client_secret=settings.oauth_client_secret,
        external_url=settings.external_url,
        clock=clock,
    )
