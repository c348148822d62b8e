"""Does the job still run? An ID token lives as long as its job could have run, and nobody can revoke it.

So a writing job is looked up by the bot now and then, and refused once it has been over for two minutes. A GitLab that
does not answer keeps no job from logging; what is written then is flagged.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from mltrail_server.domain import ci
from mltrail_server.domain.errors import Code, MltrailError, forbidden
from mltrail_server.domain.identity import Actor, TokenKind, VerifiedClaims
from mltrail_server.gitlab.client import GitLab

GRACE_MS = 120_000
ASK_EVERY_MS = 120_000
QUIET_MS = 30_000
"""So long GitLab is left alone after it did not answer, whichever job asks: it may hang, and hold up a web thread."""

TIMEOUT_SECONDS = 3.0
_MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Seen:
    asked_ms: int
    ended_ms: int | None = None
    unknown: bool = False
    blocked: bool = False


class JobStates:
    """What one process knows of the jobs that write through it."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._timeout_seconds = timeout_seconds
        self._seen: OrderedDict[tuple[int, int], _Seen] = OrderedDict()
        self._quiet_until_ms = 0
        self._lock = threading.Lock()

    def checked(self, gitlab: GitLab | None, actor: Actor, now: int) -> Actor:
        """Let a job that is about to write pass, marked as unchecked when GitLab could not be asked.

        Raises FORBIDDEN for a job that is over. A CI_JOB_TOKEN needs no look: GitLab itself refuses it then.
        """
        job = actor.job
        detached = actor.kind is TokenKind.DETACHED
        looked_at = detached or actor.kind is TokenKind.ID_TOKEN
        # A young token's job can't have been over for longer than the grace.
        if job is None or gitlab is None or not looked_at or now - job.issued_ms < GRACE_MS:
            return actor
        seen = self._known(job, now, over_too=detached) or self._ask(gitlab, job, now)
        if seen.blocked:
            raise forbidden(f"{job.user_login}, who started this job, is blocked in GitLab.")
        if detached:
            return actor  # it may outlive its job
        if seen.ended_ms is not None and now - seen.ended_ms > GRACE_MS:
            raise forbidden(
                f"Job {job.job_id} is over, and its token no longer logs. Log from the job itself, or from elsewhere "
                "with a GitLab access token. Nothing of what was logged before is lost."
            )
        return replace(actor, unchecked=True) if seen.unknown else actor

    def _known(self, job: VerifiedClaims, now: int, *, over_too: bool) -> _Seen | None:
        """Tell what was seen of a job; with `over_too` one that is over is asked for again, for its user's sake."""
        seen = self._seen.get((job.job_project_id, job.job_id))
        settled = seen is not None and seen.ended_ms is not None and not over_too
        if seen is not None and (settled or now - seen.asked_ms < ASK_EVERY_MS):
            # An unknown state is asked for again as soon as GitLab may be disturbed.
            return seen if not seen.unknown or now < self._quiet_until_ms else None
        return _Seen(now, unknown=True) if now < self._quiet_until_ms else None

    def _ask(self, gitlab: GitLab, job: VerifiedClaims, now: int) -> _Seen:
        seen = _Seen(now, unknown=True)
        try:
            told = gitlab.job(job.job_project_id, job.job_id, timeout=self._timeout_seconds)
        except MltrailError as error:
            if error.code is Code.UNAVAILABLE:
                self._quiet_until_ms = now + QUIET_MS
        else:
            ended = (told.finished_ms or now) if told.status in ci.ENDED else None
            seen = _Seen(now, ended, blocked=told.user_blocked)
        with self._lock:
            self._seen[job.job_project_id, job.job_id] = seen
            self._seen.move_to_end((job.job_project_id, job.job_id))
            while len(self._seen) > _MAX_ENTRIES:
                self._seen.popitem(last=False)
        return seen
