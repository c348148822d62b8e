"""Where an import writes to: a project, as whom, and what it remembers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mltrail_server.domain.identity import Access, Actor, Role, TokenKind
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.transfer import Findings, Source
from mltrail_server.services.context.deps import Deps, Scope
from mltrail_server.services.identity import projects
from mltrail_server.services.tracking import imported
from mltrail_server.settings import Settings
from mltrail_server.store.db.project import Project
from mltrail_server.store.imports import origins
from mltrail_server.store.imports.imported import Imported

from .count_both_sides import Tally
from .fit_to_limits import Fit
from .plan import FilesMode, Plan
from .progress import Progress

_WITHOUT_FILES = "-"
USER = "import"
"""The user of what has no user at the source."""


@dataclass(slots=True)
class Target:
    """One project during one import. With `dry_run` nothing is written."""

    scope: Scope
    plan: Plan
    source: Source
    findings: Findings
    progress: Progress
    tally: Tally
    origin: Origin
    claims: imported.Claims
    dry_run: bool = False
    experiments: dict[str, int] = field(default_factory=dict)
    """Experiments here, by their ids at the source."""
    coming: set[str] = field(default_factory=set)
    """In a dry run: the IDs of runs and logged models that would be imported."""

    @property
    def project(self) -> Project:
        return self.scope.project

    @property
    def origin_id(self) -> int:
        return self.origin.id

    def tags(self, given: Mapping[str, str], *, job_id: int | None = None) -> dict[str, str]:
        """Return the tags of a run, a version or a trace with the mark that it was imported."""
        return imported.tags(given, self.origin, job_id=job_id)

    def fit(self, owner: str) -> Fit:
        """Return what fits values of one thing, which `owner` names in the findings, to our limits."""
        return Fit(self.findings, owner)

    def marked(self, fingerprint: str) -> str:
        """Mark the fingerprint of something whose files were left out: they may be wanted later."""
        return fingerprint + _WITHOUT_FILES if self.plan.files is FilesMode.LEAVE else fingerprint

    def is_same(self, known: Imported | None, fingerprint: str) -> bool:
        """Return whether this was imported completely, and the source still says the same. What it says does not tell
        whether there are new files, so the operator can have all of them looked at.
        """
        if self.plan.reread:
            return False
        return known is not None and known.fingerprint in (fingerprint, self.marked(fingerprint))


def open_target(
    deps: Deps, plan: Plan, source: Source, findings: Findings, progress: Progress, *, description: str, dry_run: bool
) -> Target:
    """Prepare a project for an import. Unless it is a dry run, the project is created if it is new, and it is noted
    that an import from this source begins.
    """
    actor = Actor(TokenKind.LOCAL, plan.project_id, plan.path, USER, Access.WRITE, role=Role.OWNER)
    scope = Scope(deps, actor)
    number = 0
    if not dry_run:
        projects.ensure(deps, actor)
        with scope.project.write() as tx:
            number = origins.begin(tx, kind=source.kind, address=source.address, description=description)
    origin = Origin(number, source.kind, source.address, description, scope.now, scope.now)
    claims = imported.Claims(deps, plan.project_id, of_another_gitlab=_is_another_gitlab(source, deps.settings))
    tally = Tally(scope.project, findings)
    return Target(scope, plan, source, findings, progress, tally, origin, claims, dry_run)


def _is_another_gitlab(source: Source, settings: Settings) -> bool:
    """Whether the source is a GitLab that is not this server's: its jobs can have the numbers of other jobs here."""
    if source.kind != "gitlab":
        return False
    address = source.address.partition("://")[2]
    ours = [url.rstrip("/").partition("://")[2] for url in (settings.issuer, settings.gitlab_url)]
    return not any(url and address.startswith(f"{url}/") for url in ours)
