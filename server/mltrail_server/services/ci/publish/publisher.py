"""Make an object in GitLab say what it should say, whatever it is: a note, a thread, a commit status, an issue.

There is only ever one object, because only the process that holds the merge request's lease publishes;
an object of ours is looked for before one is made, so that a lost response, a killed process or a lost database costs a
look and not a second object; and what GitLab might have accepted after all is never sent again blindly. Somebody else's
object is never touched, and an older pipeline never overwrites what a newer one says.
"""

import hashlib
import logging
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from mltrail_server.domain import bot
from mltrail_server.domain.errors import Code, MltrailError, unavailable
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.ci import publications
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.telemetry.measured import MEASURED

BUSY_MS = 15_000
"""How long to wait for another process that is publishing for the same merge request."""

LEASE_MS = 120_000
"""Longer than GitLab works on any one call: whoever has lost the lease has no call under way any more."""

DELETED = "deleted"
"""The problem of an object that a person has deleted, and that stays so until somebody asks for it."""

_LONGEST_CALL_MS = 75_000
_SOON_MS, _SOON_AT_MOST_MS = 10_000, 15 * 60_000
_LATE_MS, _LATE_AT_MOST_MS = 10 * 60_000, 6 * 60 * 60_000
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lease:
    """The right to publish for one merge request, which one process has at a time."""

    ci: Ci
    iid: int
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    until: int = 0

    def take(self) -> bool:
        """Return False when another process has it."""
        with self.ci.project.write() as tx:
            self.until = tx.now + LEASE_MS
            return publications.claim(tx, self.iid, lease=self.key, until=self.until)

    def secure(self) -> None:
        """Make sure that it outlasts a call. Raises UNAVAILABLE when another process has taken it."""
        if self.until - self.ci.now >= _LONGEST_CALL_MS:
            return
        with self.ci.project.write() as tx:
            if not self.renew(tx):
                raise unavailable(f"Another process publishes for !{self.iid}.", retry_after=BUSY_MS // 1000)

    def renew(self, tx: Transaction) -> bool:
        """Return False when another process has taken it meanwhile."""
        self.until = tx.now + LEASE_MS
        return publications.renew(tx, self.iid, lease=self.key, until=self.until)

    def release(self) -> None:
        with self.ci.project.write() as tx:
            publications.release(tx, self.iid, lease=self.key)


@contextmanager
def leases(ci: Ci, iids: Iterable[int | None]) -> Iterator[dict[int, Lease]]:
    """Hold the leases of merge requests, by number: those that no other process is publishing for right now."""
    with ExitStack() as stack:
        held = {}
        for iid in iids:
            if iid is None:
                continue
            lease = Lease(ci, iid)
            if lease.take():
                stack.callback(lease.release)
                held[iid] = lease
        yield held


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an object should say. One that is `closed` (resolved, over) is not made where there is none."""

    body: str
    closed: bool = False

    @property
    def sha256(self) -> str:
        return digest(self.body)


@dataclass(frozen=True, slots=True)
class KnownObject:
    """What is known of an object: where it is, what it says and about which pipeline, and why it could not be published
    and when that may be tried again.
    """

    id: str | None = None
    sha256: str | None = None
    pipeline_id: int | None = None
    problem: str | None = None
    failures: int = 0
    next_ms: int | None = None

    def says(self, wanted: Wanted) -> bool:
        """Return whether it says that already, as far as we know."""
        return self.sha256 == wanted.sha256 and self.problem is None


@dataclass(frozen=True, slots=True)
class Shown:
    """What GitLab shows now. `id` is None if there is nothing, `sha256` if it says something that we did not write."""

    id: str | None
    sha256: str | None = None
    pipeline_id: int | None = None
    closed: bool = False
    deleted: bool = False


class ChangedMeanwhileError(Exception):
    """A person has changed an object since the report was computed. The next look sees what that means."""


class Publication(ABC):
    """An object in GitLab: what it should say, how it is found, made and changed, and where that is kept.

    `iid` is the merge request that it belongs to, if any. What GitLab refused is kept under `kind` and `subject`.
    `stays_deleted`: once a person has deleted it, it stays away until somebody asks for it; others are made again.
    """

    task: ClassVar[bot.Task]
    kind: ClassVar[str] = ""
    stays_deleted: ClassVar[bool] = False
    changed_by_people: ClassVar[bool] = False

    def __init__(self, ci: Ci, pipeline_id: int, *, iid: int | None, subject: str | None) -> None:
        self.ci = ci
        self.pipeline_id = pipeline_id
        self.iid = iid
        self.subject = subject

    @property
    @abstractmethod
    def name(self) -> str:
        """What the log calls it."""

    def is_looked_at(self, *, asked: bool) -> bool:
        """Return whether GitLab is asked although nothing has changed for us: a person may have changed it, or may ask
        for it because it was deleted.
        """
        return self.changed_by_people or (asked and self.stays_deleted)

    @abstractmethod
    def kept(self, tx: Transaction) -> KnownObject:
        """Fetch what is known of it."""

    @abstractmethod
    def wanted(self, tx: Transaction) -> Wanted | None:
        """Return what it should say; None to leave it alone."""

    @abstractmethod
    def find(self) -> str | None:
        """Find ours in GitLab: it bears our marker *and* the bot is its author, since anybody can copy a marker."""

    @abstractmethod
    def create(self, wanted: Wanted) -> Shown | None:
        """Make it. None where GitLab does not accept it and trying again would change nothing."""

    @abstractmethod
    def update(self, number: str, wanted: Wanted) -> Shown | None:
        """Have it say something else. None when somebody has deleted it."""

    @abstractmethod
    def keep(self, tx: Transaction, shown: Shown) -> None:
        """Keep what GitLab shows now."""

    def refused(self, tx: Transaction) -> str | None:
        """Return why it could not be published last."""
        if self.subject is None:
            return None
        found = publications.refusal(tx, self.kind, self.subject)
        return found.problem if found is not None else None

    def keep_refusal(self, tx: Transaction, problem: str, *, failures: int, next_ms: int) -> None:  # noqa: ARG002 - only notes wait
        """Keep why it could not be published. When it is tried again is up to the worker, which looks again."""
        if self.subject is not None:
            publications.keep_refusal(tx, self.kind, self.subject, problem=problem)

    def forget_refusal(self, tx: Transaction) -> None:
        if self.subject is not None:
            publications.forget_refusal(tx, self.kind, self.subject)


@dataclass(frozen=True, slots=True)
class Published:
    """`wait_ms` is how long to wait before trying again what could not be published; None if nothing is left to do.
    `error` is the first refusal.
    """

    wait_ms: int | None = None
    error: MltrailError | None = None

    def merged(self, other: "Published") -> "Published":
        waits = [one for one in (self.wait_ms, other.wait_ms) if one is not None]
        return Published(min(waits, default=None), self.error or other.error)


def publish_all(wanted: Iterable[Publication], lease: Lease | None, *, asked: bool = False) -> Published:
    """Publish several objects. If GitLab refuses one, go on; if it is down or wants fewer calls, stop."""
    result = Published()
    for one in wanted:
        try:
            result = result.merged(Published(publish(one, lease, asked=asked)))
        except MltrailError as error:
            result = result.merged(Published(error=error))
            if error.code in (Code.UNAVAILABLE, Code.LIMIT):
                break
    return result


def publish(one: Publication, lease: Lease | None, *, asked: bool = False) -> int | None:
    """Make an object say what it should say. `asked`: a person or a job wants it now, also if it was deleted.

    Returns how long to wait where it is not as it should be yet, else None. Raises what GitLab's refusal means, after
    keeping it for people who look for the object.
    """
    with one.ci.project.read() as tx:
        kept, wanted = one.kept(tx), one.wanted(tx)
    if (kept.problem == DELETED and one.stays_deleted) or (kept.pipeline_id or 0) > one.pipeline_id:
        return None
    if wanted is None:
        if kept.problem is not None:
            with one.ci.project.write() as tx:
                one.forget_refusal(tx)
        return None
    if kept.next_ms is not None and kept.next_ms > one.ci.now and not asked:
        return max(BUSY_MS, kept.next_ms - one.ci.now)
    if kept.says(wanted) and not one.is_looked_at(asked=asked):
        return None
    return _attempt(one, kept, wanted, lease, asked=asked)


def _attempt(one: Publication, kept: KnownObject, wanted: Wanted, lease: Lease | None, *, asked: bool) -> int | None:
    try:
        shown = _put(one, kept, wanted, lease, asked=asked)
    except ChangedMeanwhileError:
        return BUSY_MS
    except MltrailError as error:
        _refused(one, kept, lease, error)
        raise
    if shown is not None:
        MEASURED.to.published("written")
        _keep(one, kept, shown, lease)
    return None


def _put(one: Publication, kept: KnownObject, wanted: Wanted, lease: Lease | None, *, asked: bool) -> Shown | None:
    """Return what GitLab shows then; None where it does not accept the object at all."""
    if lease is not None:
        lease.secure()
    if kept.id is not None:
        shown = one.update(kept.id, wanted)
        if shown is not None:
            return shown
        if one.stays_deleted and not asked:
            return Shown(None, deleted=True)
    found = one.find()
    shown = one.update(found, wanted) if found is not None else None
    if shown is not None:
        return shown
    if wanted.closed:
        return Shown(None, closed=True)
    if lease is not None:
        lease.secure()
    return one.create(wanted)


def _keep(one: Publication, kept: KnownObject, shown: Shown, lease: Lease | None) -> None:
    with one.ci.project.write() as tx:
        held = lease is None or lease.renew(tx)
        if held:
            if kept.problem is not None:
                one.forget_refusal(tx)
            one.keep(tx, shown)
    if not held:
        _log.warning("%s of project %s took longer than its lease", one.name, one.ci.project_id)
        one.find()  # removes a second note, should the other process have made one, too


def _refused(one: Publication, kept: KnownObject, lease: Lease | None, error: MltrailError) -> None:
    """Keep why it failed, and when to try again; but not where another process has taken over."""
    MEASURED.to.published("refused")
    problem = _why(one, error)
    _log.warning("%s of project %s could not be published: %s", one.name, one.ci.project_id, problem)
    with one.ci.project.write() as tx:
        if lease is None or lease.renew(tx):
            next_ms = tx.now + wait_ms(error, failures=kept.failures)
            one.keep_refusal(tx, problem, failures=kept.failures + 1, next_ms=next_ms)


def wait_ms(error: MltrailError, *, failures: int) -> int:
    """Return how long to wait after a failed attempt: twice as long each time, and never less than GitLab asks for.

    What passes by itself (GitLab is down, too many calls) is retried soon; what only a person can change, rarely.
    """
    passes = error.code in (Code.UNAVAILABLE, Code.LIMIT)
    first, most = (_SOON_MS, _SOON_AT_MOST_MS) if passes else (_LATE_MS, _LATE_AT_MOST_MS)
    return max(min(first << min(failures, 16), most), 1000 * (error.retry_after or 0))


def _why(one: Publication, error: MltrailError) -> str:
    """Explain a refusal to people."""
    if error.code is not Code.FORBIDDEN:
        return error.message
    gitlab, project_id = one.ci.gitlab, one.ci.project_id
    try:
        project = gitlab.project(project_id)
        if project.archived:
            return "The project is archived, so GitLab accepts nothing there."
        problem = bot.problem(gitlab.bot_level(project_id), project.path, [one.task])
        discussed = one.iid is not None and one.task in (bot.Task.NOTE, bot.Task.THREAD)
        if discussed and one.iid is not None and gitlab.merge_request(project_id, one.iid).locked:
            bots = "GitLab accepts nothing from mltrail's bot there."
            return f"The merge request's discussion is locked: only members may write. {problem or bots}"
    except MltrailError:
        return error.message
    return problem or error.message


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
