"""The clients for GitLab, and what was learnt from it lately. Local mode has none of them."""

from dataclasses import dataclass, field

from mltrail_server.gitlab.access_tokens import AccessTokens
from mltrail_server.gitlab.client import GitLab
from mltrail_server.gitlab.id_tokens import IdTokens
from mltrail_server.gitlab.job_tokens import JobTokens
from mltrail_server.gitlab.oauth import OAuth

from .admissions import Admissions
from .call_limits import LookupLimit
from .job_states import JobStates


@dataclass(frozen=True, slots=True)
class TeamMode:
    """What a server with a GitLab works with. `oauth` is None if GitLab has no application for this server."""

    gitlab: GitLab
    id_tokens: IdTokens
    job_tokens: JobTokens
    access_tokens: AccessTokens
    oauth: OAuth | None = None
    admissions: Admissions = field(default_factory=Admissions)
    lookup_limit: LookupLimit = field(default_factory=LookupLimit)
    job_states: JobStates = field(default_factory=JobStates)
