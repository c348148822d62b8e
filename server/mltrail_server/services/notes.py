"""Make a merge request's one note equal to what it should say.

The order of steps is what keeps it at one: look for a note of ours before making one, so that a lost answer costs a
look and not a second note; never touch somebody else's; never let an older pipeline overwrite a newer one.
"""

import hashlib
import threading
from dataclasses import dataclass

from mltrail_server.domain.ci import Note
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.gitlab.client import GitLab
from mltrail_server.store import merge_requests
from mltrail_server.store.merge_requests import MergeRequest

from . import note
from .deps import Deps

DELETED = "deleted"
"""Somebody has deleted the note: silent until asked for it again."""


@dataclass(frozen=True, slots=True)
class _Put:
    """The note as it stands now, and the pipeline that it speaks of."""

    note_id: int
    pipeline_id: int


_turns: dict[tuple[int, ProjectId, int], threading.Lock] = {}


def write(
    deps: Deps, gitlab: GitLab, project_id: ProjectId, iid: int, *, pipeline_id: int, text: str, asked: bool
) -> None:
    """Write the note of merge request `iid`; `asked` tells that a person or a job wants it, deleted or not.

    Raises what GitLab's refusal means, after noting it for those who look why there is no note.
    """
    with _turns.setdefault((id(deps.db), project_id, iid), threading.Lock()):
        with deps.db.read() as connection:
            known = merge_requests.get(connection, project_id, iid)
        if known is None or (known.note_problem == DELETED and not asked):
            return
        if known.note_pipeline_id is not None and known.note_pipeline_id > pipeline_id:
            return
        digest = hashlib.sha256(text.encode()).hexdigest()
        if known.note_id is not None and known.note_sha256 == digest and known.note_problem is None:
            return
        try:
            put = _put(gitlab, project_id, known, text, asked=asked, pipeline_id=pipeline_id)
        except MltrailError as error:
            _keep(deps, project_id, iid, note_problem=error.message)
            raise
        if put is None:
            _keep(deps, project_id, iid, note_problem=DELETED)
        else:
            _keep(
                deps,
                project_id,
                iid,
                note_id=put.note_id,
                note_pipeline_id=put.pipeline_id,
                note_sha256=digest if put.pipeline_id == pipeline_id else None,
                note_problem=None,
            )


def _put(
    gitlab: GitLab, project_id: ProjectId, known: MergeRequest, text: str, *, asked: bool, pipeline_id: int
) -> _Put | None:
    """Write it, and answer what stands there; None when somebody has deleted it and nobody asks for it."""
    if known.note_id is not None:
        try:
            gitlab.update_note(project_id, known.iid, known.note_id, text)
        except MltrailError as error:
            if error.code is not Code.NOT_FOUND:
                raise
            if not asked:
                return None
        else:
            return _Put(known.note_id, pipeline_id)
    ours = _ours(gitlab, project_id, known.iid)
    if ours is None:
        return _Put(gitlab.create_note(project_id, known.iid, text).id, pipeline_id)
    spoken_of = note.marked(ours.body) or 0
    if spoken_of > pipeline_id:
        # Our database was lost, and the note is about a newer pipeline than this one.
        return _Put(ours.id, spoken_of)
    if ours.body.strip() != text.strip():
        gitlab.update_note(project_id, known.iid, ours.id, text)
    return _Put(ours.id, pipeline_id)


def _ours(gitlab: GitLab, project_id: ProjectId, iid: int) -> Note | None:
    """Find the first note that bears our marker and is the bot's own: anybody can copy a marker."""
    bot = gitlab.bot_id(project_id)
    found = (one for one in gitlab.notes(project_id, iid) if one.author_id == bot and note.marked(one.body) is not None)
    return next(found, None)


def _keep(deps: Deps, project_id: ProjectId, iid: int, **values: object) -> None:
    with deps.db.write() as connection:
        merge_requests.keep_note(connection, project_id, iid, **values)
