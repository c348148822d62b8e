"""Upload, read, list and delete files of candidates and logged models."""

from dataclasses import dataclass
from typing import BinaryIO

import sqlalchemy as sa

from mltrail_server.artifacts.base import Stored
from mltrail_server.domain import paths
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid, not_found
from mltrail_server.domain.paths import Owner
from mltrail_server.store import candidates, files, folders, logged_models, usage
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.files import File
from mltrail_server.store.folders import Entry
from mltrail_server.store.logged_models import LoggedModel

from . import quotas, stamp, stewards
from .deps import Scope

_CHECKED_FIRST = 1 << 20
"""What is smaller is sent by the time it could be refused, so it is checked once, when it gets its name."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a client says of a file: its size in bytes, None for one that comes in chunks, and its SHA-256 in
    hexadecimal, if it tells that.
    """

    size: int | None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file is to be: a clean path, and whose folder that is in."""

    path: str
    owner: Owner


def upload(scope: Scope, path: str, stream: BinaryIO, announced: Announced) -> None:
    """Store a file, whole or not at all; one of that name is replaced in one step.

    A body that ends before its announced size, or has another digest, is not stored. Raises NOT_FOUND for a folder that
    is no run's or logged model's of this project.
    """
    size = announced.size
    target = target_of(path)
    if size is None or size > _CHECKED_FIRST:
        with scope.deps.db.read() as connection:
            check_target(connection, scope, target, size=size or 0)
    # The bytes come without any lock held: a large file may take minutes.
    stored = scope.deps.files.put(scope.project_id, stream, size=size)
    try:
        if size is not None and stored.size != size:
            raise invalid(
                f"The upload of '{target.path}' was cut off after {stored.size} of {size} bytes; send it again."
            )
        if announced.sha256 not in (None, stored.sha256):
            raise invalid(f"'{target.path}' came with another content than its Content-Digest says; send it again.")
        with scope.deps.db.write() as connection:
            name(connection, scope, target, stored)
    except MltrailError as error:
        # A database that does not answer may have kept the name all the same, so the bytes stay then.
        if error.code is not Code.UNAVAILABLE:
            scope.deps.files.delete(scope.project_id, stored.blob_id)
        raise


def target_of(path: str) -> Target:
    """Read where a file is to be. Raises INVALID for a folder itself, and for paths in nobody's folder."""
    path, owner, inner = _resolved(path)
    if not inner:
        raise invalid(f"Invalid path: '{path}' is the folder itself; name a file in it.")
    return Target(path, owner)


def check_target(connection: sa.Connection, scope: Scope, target: Target, *, size: int) -> None:
    """Refuse early what could not be stored in the end, before a large file is sent."""
    _check_writable(connection, scope, target.owner)
    _check_clash(connection, scope, target.path)
    quotas.check(connection, scope, usage.BYTES, size)


def name(connection: sa.Connection, scope: Scope, target: Target, stored: Stored) -> None:
    """Let the name point at the stored bytes, if owner and folder still allow it: much can happen during an upload."""
    candidate = _check_writable(connection, scope, target.owner)
    # One at a time in a folder, so that `a` and `a/b` can't both come to be.
    files.lock(connection, scope.project_id, target.owner.folder)
    _check_clash(connection, scope, target.path)
    _note_writer(connection, scope, candidate)
    files.put(
        connection,
        scope.project_id,
        path=target.path,
        blob_id=stored.blob_id,
        size=stored.size,
        sha256=stored.sha256,
        now=scope.now,
    )
    quotas.take(connection, scope, usage.BYTES, stored.size)


def find(scope: Scope, path: str) -> File:
    path, owner, _ = _resolved(path)
    with scope.deps.db.read() as connection:
        _check_owner(connection, scope, owner)
        found = files.get(connection, scope.project_id, path)
        if found is not None:
            return found
        if files.is_folder(connection, scope.project_id, path):
            raise invalid(f"'{path}' is a folder; list it, and download the files in it.")
    raise not_found(f"No such artifact: '{path}'")


def listing(scope: Scope, path: str) -> list[Entry]:
    """List one level of a folder; a file, or what does not exist, has nothing in it."""
    path, owner, _ = _resolved(path)
    with scope.deps.db.read() as connection:
        _check_owner(connection, scope, owner)
        return folders.entries(connection, scope.project_id, path)


def page(scope: Scope, path: str, token: str | None) -> tuple[list[Entry], str | None]:
    """List a page of one level of a folder, and the token of the next page."""
    path, owner, _ = _resolved(path)
    with scope.deps.db.read() as connection:
        _check_owner(connection, scope, owner)
        return folders.page(connection, scope.project_id, path, token=token)


def delete(scope: Scope, path: str) -> None:
    """Delete a file or a whole folder; what is not there is no error."""
    path, owner, _ = _resolved(path)
    with scope.deps.db.write() as connection:
        _note_writer(connection, scope, _check_writable(connection, scope, owner))
        files.delete(connection, scope.project_id, path, now=scope.now)


def _resolved(path: str) -> tuple[str, Owner, str]:
    cleaned = paths.clean(path)
    owner, inner = paths.owner_of(cleaned)
    return cleaned, owner, inner


def _check_owner(connection: sa.Connection, scope: Scope, owner: Owner) -> None:
    """Raise NOT_FOUND for a folder that is nobody's."""
    if owner.promotion is None:
        _held_by(connection, scope, owner)


def _check_writable(connection: sa.Connection, scope: Scope, owner: Owner) -> Candidate | None:
    """Refuse a change in a folder that does not allow it, and answer the run that it would be a change of."""
    if owner.promotion is not None:
        raise conflict("The files of a promoted version never change. Promote another candidate instead.")
    held_by = _held_by(connection, scope, owner)
    if held_by.stage is Stage.DELETED:
        raise invalid(f"The owner of '{owner.folder}' is deleted. Restore it first.")
    if isinstance(held_by, Candidate):
        return held_by
    return candidates.get(connection, scope.project_id, held_by.source_eid) if held_by.source_eid else None


def _held_by(connection: sa.Connection, scope: Scope, owner: Owner) -> Candidate | LoggedModel:
    found: Candidate | LoggedModel | None
    if owner.eid is not None:
        found = candidates.get(connection, scope.project_id, owner.eid)
    else:
        found = logged_models.get(connection, scope.project_id, str(owner.logged_model_id))
    if found is None or found.experiment_iid != owner.experiment_iid:
        raise not_found(f"No run or logged model has the folder '{owner.folder}' in this project.")
    if found.elsewhere:
        raise invalid(
            f"The files of '{owner.folder}' lie at {found.elsewhere}, which this server does not read. Use that "
            "URI, with credentials of your own."
        )
    return found


def _note_writer(connection: sa.Connection, scope: Scope, candidate: Candidate | None) -> None:
    if candidate is None:
        stamp.on_ownerless(scope)
    else:
        stewards.check_frozen(scope, candidate)
        stamp.on_write(connection, scope, candidate.iid)


def _check_clash(connection: sa.Connection, scope: Scope, path: str) -> None:
    other = files.clash(connection, scope.project_id, path)
    if other is not None:
        raise invalid(
            f"'{path}' can't be a file, since '{other}' exists: a file can't stand where a folder is, nor the reverse."
        )
