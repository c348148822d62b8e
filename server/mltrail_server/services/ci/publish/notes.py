"""Make a merge request's one note equal to what it should say.

What keeps it at one: who posts holds a lease in the database, so that of several processes one does; a note of ours is
looked for before one is made, so that a lost answer, a killed process or a lost database costs a look and not a second
note; and what GitLab might take after all is never sent again blindly. Never touched is somebody else's, and an older
pipeline never overwrites a newer one.
"""

import hashlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.gitlab_ci import Note
from mltrail_server.services.context.deps import Ci
from mltrail_server.services.review import note
from mltrail_server.store.ci import posts
from mltrail_server.store.ci.posts import Post

from . import refusals

DELETED = "deleted"
"""Somebody has deleted the note: silent until asked for it again."""

LEASE_MS = 120_000
"""Longer than GitLab works on any one call, so that who has lost the lease has nothing under way any more."""

_MOST_IN_FLIGHT_MS = 75_000
_log = logging.getLogger(__name__)


class End(Enum):
    """How it ended. BUSY: another process posts just now. LATER: a failed attempt must not be repeated yet."""

    WRITTEN = auto()
    NOTHING = auto()
    BUSY = auto()
    LATER = auto()


@dataclass(frozen=True, slots=True)
class _Stands:
    """The note as it stands now, and the pipeline that it speaks of."""

    note_id: int
    pipeline_id: int


@dataclass(slots=True)
class Turn:
    """One process's turn at one merge request's note."""

    ci: Ci
    iid: int
    lease: str = field(default_factory=lambda: secrets.token_hex(16))
    until: int = 0
    wants_new: bool = False  # the note was deleted, and somebody asks for it

    def take(self) -> bool:
        """Take the turn, or keep it for longer. False when another process has it."""
        now = self.ci.now
        with self.ci.project.write() as tx:
            taken = posts.claim(tx, self.iid, lease=self.lease, until=now + LEASE_MS)
        self.until = now + LEASE_MS if taken else 0
        return taken

    def keep(self) -> None:
        """Make sure of the turn for as long as a call may take. Raises UNAVAILABLE when another process has it."""
        if self.until - self.ci.now < _MOST_IN_FLIGHT_MS and not self.take():
            raise MltrailError(Code.UNAVAILABLE, "Another process writes this note.", retry_after=5)

    def end(self, **values: object) -> bool:
        """Give the turn back. False when another process had taken it meanwhile."""
        with self.ci.project.write() as tx:
            return posts.settle(tx, self.iid, lease=self.lease, **values)


def write(ci: Ci, iid: int, *, pipeline_id: int, body: Callable[[], str], asked: bool) -> End:
    """Write the note of merge request `iid`. `body` is called in this process's turn, so that it tells the newest;
    `asked` tells that a person or a job wants it, deleted or not.

    Raises what GitLab's refusal means, after noting it for those who look why there is no note.
    """
    if asked:
        with ci.project.write() as tx:
            posts.want(tx, iid, problem=DELETED)
    turn = Turn(ci, iid)
    if not turn.take():
        return End.BUSY
    try:
        return _in_turn(turn, pipeline_id=pipeline_id, body=body, asked=asked)
    except BaseException:
        # An error of ours, or the process is told to stop: nobody shall wait for the lease to end.
        turn.end()
        raise


def _in_turn(turn: Turn, *, pipeline_id: int, body: Callable[[], str], asked: bool) -> End:
    with turn.ci.project.read() as tx:
        known = posts.get(tx, turn.iid)
    now = turn.ci.now
    if known is None or known.problem == DELETED or (known.pipeline_id or 0) > pipeline_id:
        turn.end()
        return End.NOTHING
    if not asked and known.next_ms is not None and known.next_ms > now:
        turn.end()
        return End.LATER
    text = body()
    digest = hashlib.sha256(text.encode()).hexdigest()
    unchanged = known.note_id is not None and known.sha256 == digest and known.problem is None
    if unchanged and not asked:
        turn.end()
        return End.NOTHING
    try:
        # Who asks for a note may do so because it was deleted, which nobody has told us.
        if unchanged and turn.ci.gitlab.has_note(turn.ci.project_id, turn.iid, known.note_id or 0):
            turn.end()
            return End.NOTHING
        stands = _put(turn, known, text, asked=asked, pipeline_id=pipeline_id)
    except MltrailError as error:
        _failed(turn, known, error)
        raise
    if stands is None:
        turn.end(problem=DELETED, failures=0, next_ms=None)
        return End.NOTHING
    kept = turn.end(
        id=stands.note_id,
        pipeline_id=stands.pipeline_id,
        sha256=digest if stands.pipeline_id == pipeline_id else None,
        problem=None,
        failures=0,
        next_ms=None,
        written_ms=now,
    )
    if not kept:
        _log.warning("the note of !%s of project %s took longer than its turn", turn.iid, turn.ci.project_id)
        _ours(turn)  # removes a second one, should the other process have written its own
    return End.WRITTEN


def _failed(turn: Turn, known: Post, error: MltrailError) -> None:
    """Keep why it failed, and when to try again."""
    refusal = refusals.of(turn.ci, turn.iid, error, failures=known.failures)
    _log.warning(
        "the note of !%s of project %s could not be written (attempt %s): %s",
        turn.iid,
        turn.ci.project_id,
        known.failures + 1,
        refusal.told,
    )
    forgotten = {"id": None, "sha256": None} if turn.wants_new else {}
    wait_until = turn.ci.now + refusal.wait_ms
    turn.end(problem=refusal.told, failures=known.failures + 1, next_ms=wait_until, **forgotten)


def _put(turn: Turn, known: Post, text: str, *, asked: bool, pipeline_id: int) -> _Stands | None:
    """Write it, and answer what stands there; None when somebody has deleted it and nobody asks for it."""
    if known.note_id is not None:
        try:
            turn.ci.gitlab.update_note(turn.ci.project_id, turn.iid, known.note_id, text)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            # GitLab says the same when the merge request has gone, or is hidden from the bot: then this raises.
            turn.ci.gitlab.merge_request(turn.ci.project_id, turn.iid)
            if not asked:
                return None
            turn.wants_new = True
        else:
            return _Stands(known.note_id, pipeline_id)
    ours = _ours(turn)
    if ours is None:
        turn.keep()
        return _Stands(turn.ci.gitlab.create_note(turn.ci.project_id, turn.iid, text).id, pipeline_id)
    spoken_of = note.marked(ours.body) or 0
    if spoken_of > pipeline_id:
        # Our database was lost, and the note is about a newer pipeline than this one.
        return _Stands(ours.id, spoken_of)
    if ours.body.strip() != text.strip():
        turn.ci.gitlab.update_note(turn.ci.project_id, turn.iid, ours.id, text)
    return _Stands(ours.id, pipeline_id)


def _ours(turn: Turn) -> Note | None:
    """Find the oldest note that bears our marker and is the bot's own: anybody can copy a marker.

    More than one should not be; where a GitLab has taken one twice, the younger ones go.
    """
    bot = turn.ci.gitlab.bot_id(turn.ci.project_id)
    found = [
        one
        for one in turn.ci.gitlab.notes(turn.ci.project_id, turn.iid)
        if one.author_id == bot and note.marked(one.body) is not None
    ]
    found.sort(key=lambda one: one.id)
    for extra in found[1:]:
        _log.warning("!%s of project %s bears our note twice; note %s goes", turn.iid, turn.ci.project_id, extra.id)
        turn.ci.gitlab.delete_note(turn.ci.project_id, turn.iid, extra.id)
    return found[0] if found else None
