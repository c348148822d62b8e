"""Whether the job that writes still runs, and whether its user still has access.

An ID token is valid for as long as its job could have run, and nobody can revoke it. So the bot looks a writing job up
now and then: it is refused two minutes after it has ended, or once the user who started it has lost the right to write.
What the worker or another process has learnt saves the lookup. If GitLab does not answer, the job goes on logging, and
what it writes is flagged as unchecked.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.clock import Clock
from mltrail_server.domain.errors import Code, MltrailError, forbidden
from mltrail_server.domain.identity import Access, Actor, Role, TokenKind, VerifiedClaims
from mltrail_server.domain.ids import ProjectId
from mltrail_server.store.ci import child_pipelines, due, jobs
from mltrail_server.store.db.database import Database
from mltrail_server.store.db.project import Project

if TYPE_CHECKING:
    from mltrail_server.gitlab.client import GitLab

GRACE_MS = 120_000
ASK_FIRST_MS, ASK_AT_LEAST_EVERY_MS = 5 * 60_000, 10 * 60_000
"""GitLab is asked about a job when the job is 5 and 10 minutes old, and every ten minutes from then on."""

ASK_DETACHED_EVERY_MS = 3 * 60_000

READ_EVERY_MS = 30_000
"""How often a process reads what other processes have learnt about a job."""

QUIET_MS = 30_000
"""How long GitLab is left alone after it did not answer, whichever job asks: it may hang, and hold up a web thread."""

ASK_ABOUT_MEMBER_EVERY_MS = 30 * 60_000
TIMEOUT_SECONDS = 3.0
_MOST_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class JobBook:
    """What all processes of this server have learnt about jobs, kept in the database."""

    db: Database
    clock: Clock

    def read(self, project_id: ProjectId, job_id: int) -> tuple[str | None, int] | None:
        """Return the status that GitLab gave last, and when; None for an unknown job."""
        with Project(self.db, project_id, self.clock).read() as tx:
            return jobs.last_status(tx, job_id)

    def keep(self, project_id: ProjectId, job: gitlab_ci.Job) -> None:
        """Keep what GitLab said about a job. While it runs, the worker need not look at its pipeline either."""
        now = self.clock()
        with Project(self.db, project_id, self.clock).write() as tx:
            if not jobs.note_status(tx, job) or job.status in gitlab_ci.ENDED:
                return
            later = now + ASK_AT_LEAST_EVERY_MS
            pipeline_id = child_pipelines.root_of(tx, job.pipeline_id)
            due.postpone(tx, kind=due.PIPELINE, key=pipeline_id, to=later)


@dataclass(frozen=True, slots=True)
class _Known:
    """What this process knows about a job."""

    read_ms: int
    running_ms: int = 0  # when GitLab last said that it runs
    ended_ms: int | None = None
    unknown: bool = False
    refusal: str = ""


class JobStates:
    """What one process knows about the jobs that write through it."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._known: OrderedDict[tuple[int, int], _Known] = OrderedDict()
        self._memberships = _Memberships()
        self._quiet_until_ms = 0
        self._lock = threading.Lock()

    def checked(self, gitlab: "GitLab", book: JobBook, actor: Actor, now: int) -> Actor:
        """Return the actor that is about to write, marked as unchecked when GitLab could not be asked.

        Raises FORBIDDEN for a job that has ended, or whose user may no longer write. A CI_JOB_TOKEN needs no check:
        GitLab itself refuses it then.
        """
        job = actor.job
        detached = actor.kind is TokenKind.DETACHED
        needs_check = detached or actor.kind is TokenKind.ID_TOKEN
        # The job of a new token can't have ended longer ago than the grace period; a reader is refused by role anyway.
        if job is None or not needs_check or now - job.issued_ms < GRACE_MS:
            return actor
        if not actor.may(Access.WRITE):
            return actor
        # A detached training may outlive its job, so only its user counts: GitLab itself is asked.
        known = self._remembered(job, now, detached=detached)
        known = known or (None if detached else self._read(book, job, now)) or self._ask(gitlab, book, job, now)
        self._remember(job, known)
        if known.refusal:
            raise forbidden(known.refusal)
        if detached:
            return actor
        if known.ended_ms is not None and now - known.ended_ms > GRACE_MS:
            raise forbidden(
                f"Job {job.job_id} is over, and its token no longer logs. Log from the job itself, or from elsewhere "
                "with a GitLab access token. Nothing of what was logged before is lost."
            )
        return replace(actor, unchecked=True) if known.unknown else actor

    def _remembered(self, job: VerifiedClaims, now: int, *, detached: bool) -> _Known | None:
        known = self._known.get((job.job_project_id, job.job_id))
        if known is not None and detached:
            fresh = now - known.running_ms < ASK_DETACHED_EVERY_MS
        else:
            fresh = known is not None and (known.ended_ms is not None or now - known.read_ms < READ_EVERY_MS)
        if known is not None and fresh:
            # An unknown state is asked about again as soon as GitLab may be disturbed.
            return known if not known.unknown or now < self._quiet_until_ms else None
        return _Known(now, unknown=True) if now < self._quiet_until_ms else None

    def _read(self, book: JobBook, job: VerifiedClaims, now: int) -> _Known | None:
        """Return what was learnt lately, here or in another process; None when GitLab should be asked."""
        status, at_ms = book.read(job.job_project_id, job.job_id) or (None, 0)
        if status in gitlab_ci.ENDED:
            return _Known(now, ended_ms=at_ms)
        before = self._known.get((job.job_project_id, job.job_id), _Known(0))
        learnt_ms = max(job.issued_ms, before.running_ms, at_ms if status else 0)
        every = min(max(learnt_ms - job.issued_ms, ASK_FIRST_MS), ASK_AT_LEAST_EVERY_MS)
        if now - learnt_ms >= every or before.unknown:
            return None
        return replace(before, read_ms=now)

    def _ask(self, gitlab: "GitLab", book: JobBook, job: VerifiedClaims, now: int) -> _Known:
        try:
            current = gitlab.job(job.job_project_id, job.job_id, timeout=self._timeout_seconds)
            lost_access = self._memberships.lost(gitlab, job.job_project_id, current.user_id, now)
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                self._quiet_until_ms = now + QUIET_MS
            return _Known(now, unknown=True)
        book.keep(job.job_project_id, current)
        refusal = ""
        if current.user_blocked:
            refusal = f"{job.user_login}, who started this job, is blocked in GitLab."
        elif lost_access:
            refusal = f"{job.user_login}, who started this job, has lost the Developer role in {job.job_project_path}."
        ended_ms = (current.finished_ms or now) if current.status in gitlab_ci.ENDED else None
        return _Known(now, now, ended_ms, refusal=refusal)

    def _remember(self, job: VerifiedClaims, known: _Known) -> None:
        with self._lock:
            self._known[job.job_project_id, job.job_id] = known
            self._known.move_to_end((job.job_project_id, job.job_id))
            while len(self._known) > _MOST_ENTRIES:
                self._known.popitem(last=False)


class _Memberships:
    """The roles of users in projects, as the bot sees them.

    Some GitLab versions don't list members of an invited group. So a user who was never found is left alone: only one
    who once had the right to write, and no longer has it, has lost it.
    """

    def __init__(self) -> None:
        self._levels: OrderedDict[tuple[ProjectId, int], tuple[int, int | None, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def lost(self, gitlab: "GitLab", project_id: ProjectId, user_id: int | None, now: int) -> bool:
        """Return whether a user has lost the Developer role. Asks GitLab at most every half hour.

        Raises what GitLab's answer means.
        """
        if user_id is None:
            return False
        asked_ms, level, could_write = self._levels.get((project_id, user_id), (None, None, False))
        if asked_ms is None or now - asked_ms >= ASK_ABOUT_MEMBER_EVERY_MS:
            level = gitlab.member_level(project_id, user_id)
            could_write = could_write or (level or 0) >= Role.DEVELOPER
            with self._lock:
                self._levels[project_id, user_id] = now, level, could_write
                while len(self._levels) > _MOST_ENTRIES:
                    self._levels.popitem(last=False)
        return could_write and (level or 0) < Role.DEVELOPER
