"""Does the job still run? An ID token lives as long as its job could have run, and nobody can revoke it.

So a writing job is looked up by the bot now and then, and refused once it has been over for two minutes, or once who
started it may not write any more. What the worker or another process has learnt spares the look. A GitLab that does not
answer keeps no job from logging; what is written then is flagged.

Has who started a job lost the right to write since then? The token itself tells only what was true at its start.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Protocol

from mltrail_server.domain import gitlab_ci
from mltrail_server.domain.errors import Code, MltrailError, forbidden
from mltrail_server.domain.identity import Access, Actor, Role, TokenKind, VerifiedClaims
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab

EVERY_MS = 30 * 60_000
_MAX_ENTRIES = 10_000


class Memberships:
    """What one process knows of people's levels in projects, by the bot's look.

    Not every GitLab lists members by an invited group. So whoever was never found is left alone: only who was seen with
    the right to write, and is not any more, has lost it.
    """

    def __init__(self) -> None:
        self._levels: OrderedDict[tuple[ProjectId, int], tuple[int, int | None, bool]] = OrderedDict()
        self._lock = threading.Lock()

    def lost(self, gitlab: GitLab, project_id: ProjectId, user_id: int | None, now: int) -> bool:
        """Ask at most every half hour whether somebody has lost the Developer role. Raises what GitLab means."""
        if user_id is None:
            return False
        asked_ms, level, seen_writing = self._levels.get((project_id, user_id), (None, None, False))
        if asked_ms is None or now - asked_ms >= EVERY_MS:
            level = gitlab.member_level(project_id, user_id)
            seen_writing = seen_writing or (level or 0) >= Role.DEVELOPER
            with self._lock:
                self._levels[project_id, user_id] = now, level, seen_writing
                while len(self._levels) > _MAX_ENTRIES:
                    self._levels.popitem(last=False)
        return seen_writing and (level or 0) < Role.DEVELOPER


GRACE_MS = 120_000
ASK_FIRST_MS, ASK_AT_LEAST_EVERY_MS = 5 * 60_000, 10 * 60_000
"""GitLab is asked about a job after 5 and 10 minutes of its life, and every ten from then on."""

ASK_DETACHED_EVERY_MS = 3 * 60_000

READ_EVERY_MS = 30_000
"""So often what other processes have learnt is read."""

QUIET_MS = 30_000
"""So long GitLab is left alone after it did not answer, whichever job asks: it may hang, and hold up a web thread."""

TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Told:
    """What GitLab said of a job last, and when."""

    status: str | None
    at_ms: int


class Book(Protocol):
    """Where all processes note what they learn of jobs."""

    def told(self, project_id: ProjectId, job_id: int) -> Told | None: ...

    def keep(self, project_id: ProjectId, job: gitlab_ci.Job) -> None: ...


@dataclass(frozen=True, slots=True)
class _Seen:
    read_ms: int
    asked_ms: int = 0  # when GitLab told that it runs
    ended_ms: int | None = None
    unknown: bool = False
    refusal: str = ""


class JobStates:
    """What one process knows of the jobs that write through it."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._seen: OrderedDict[tuple[int, int], _Seen] = OrderedDict()
        self._memberships = Memberships()
        self._quiet_until_ms = 0
        self._lock = threading.Lock()

    def checked(self, gitlab: GitLab, book: Book, actor: Actor, now: int) -> Actor:
        """Let a job that is about to write pass, marked as unchecked when GitLab could not be asked.

        Raises FORBIDDEN for a job that is over, or whose user may not write any more. A CI_JOB_TOKEN needs no look:
        GitLab itself refuses it then.
        """
        job = actor.job
        detached = actor.kind is TokenKind.DETACHED
        looked_at = detached or actor.kind is TokenKind.ID_TOKEN
        # A young token's job can't have been over for longer than the grace; a reader is refused by its role anyway.
        if job is None or not looked_at or now - job.issued_ms < GRACE_MS:
            return actor
        if not actor.may(Access.WRITE):
            return actor
        # A detached training may outlive its job, so that only its user counts: GitLab itself is asked.
        seen = self._known(job, now, detached=detached)
        seen = seen or (None if detached else self._read(book, job, now)) or self._ask(gitlab, book, job, now)
        self._remember(job, seen)
        if seen.refusal:
            raise forbidden(seen.refusal)
        if detached:
            return actor
        if seen.ended_ms is not None and now - seen.ended_ms > GRACE_MS:
            raise forbidden(
                f"Job {job.job_id} is over, and its token no longer logs. Log from the job itself, or from elsewhere "
                "with a GitLab access token. Nothing of what was logged before is lost."
            )
        return replace(actor, unchecked=True) if seen.unknown else actor

    def _known(self, job: VerifiedClaims, now: int, *, detached: bool) -> _Seen | None:
        seen = self._seen.get((job.job_project_id, job.job_id))
        if seen is not None and detached:
            fresh = now - seen.asked_ms < ASK_DETACHED_EVERY_MS
        else:
            fresh = seen is not None and (seen.ended_ms is not None or now - seen.read_ms < READ_EVERY_MS)
        if seen is not None and fresh:
            # An unknown state is asked for again as soon as GitLab may be disturbed.
            return seen if not seen.unknown or now < self._quiet_until_ms else None
        return _Seen(now, unknown=True) if now < self._quiet_until_ms else None

    def _read(self, book: Book, job: VerifiedClaims, now: int) -> _Seen | None:
        """Take what was learnt lately, here or elsewhere; None when GitLab should be asked."""
        told = book.told(job.job_project_id, job.job_id)
        if told is not None and told.status in gitlab_ci.ENDED:
            return _Seen(now, ended_ms=told.at_ms)
        before = self._seen.get((job.job_project_id, job.job_id), _Seen(0))
        learnt_ms = max(job.issued_ms, before.asked_ms, told.at_ms if told is not None and told.status else 0)
        every = min(max(learnt_ms - job.issued_ms, ASK_FIRST_MS), ASK_AT_LEAST_EVERY_MS)
        if now - learnt_ms >= every or before.unknown:
            return None
        return replace(before, read_ms=now)

    def _ask(self, gitlab: GitLab, book: Book, job: VerifiedClaims, now: int) -> _Seen:
        try:
            told = gitlab.job(job.job_project_id, job.job_id, timeout=self._timeout_seconds)
            removed = self._memberships.lost(gitlab, job.job_project_id, told.user_id, now)
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                self._quiet_until_ms = now + QUIET_MS
            return _Seen(now, unknown=True)
        book.keep(job.job_project_id, told)
        refusal = ""
        if told.user_blocked:
            refusal = f"{job.user_login}, who started this job, is blocked in GitLab."
        elif removed:
            refusal = f"{job.user_login}, who started this job, has lost the Developer role in {job.job_project_path}."
        return _Seen(now, now, (told.finished_ms or now) if told.status in gitlab_ci.ENDED else None, refusal=refusal)

    def _remember(self, job: VerifiedClaims, seen: _Seen) -> None:
        with self._lock:
            self._seen[job.job_project_id, job.job_id] = seen
            self._seen.move_to_end((job.job_project_id, job.job_id))
            while len(self._seen) > _MAX_ENTRIES:
                self._seen.popitem(last=False)
