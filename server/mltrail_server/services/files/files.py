"""Upload, read, list and delete files of candidates and logged models."""

from dataclasses import dataclass
from typing import BinaryIO

from mltrail_server.artifacts.base import StoredBlob
from mltrail_server.domain import paths
from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import Code, MltrailError, conflict, forbidden, invalid, not_found
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import protection
from mltrail_server.services.tracking import evidence, quotas, stamp
from mltrail_server.services.tracking.evidence import WriteKind
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import Entry, File
from mltrail_server.store.tracking import candidates, logged_models, usage
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.logged_models import LoggedModel

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
class Destination:
    """Where a file is to be: a clean path, and whose folder that is in."""

    path: str
    owner: Owner


def upload(scope: Scope, path: str, stream: BinaryIO, announced: Announced) -> None:
    """Store a file, whole or not at all; one of that name is replaced in one step.

    A body that ends before its announced size, or has another digest, is not stored. Raises NOT_FOUND for a folder that
    is no run's or logged model's of this project.
    """
    size = announced.size
    target = destination_of(path)
    if size is None or size > _CHECKED_FIRST:
        with scope.project.read() as tx:
            check_destination(tx, scope, target, size=size or 0)
    # The bytes come without any lock held: a large file may take minutes.
    stored = scope.deps.files.put(scope.project_id, stream, size=size)
    try:
        if size is not None and stored.size != size:
            raise invalid(
                f"The upload of '{target.path}' was cut off after {stored.size} of {size} bytes; send it again."
            )
        if announced.sha256 not in (None, stored.sha256):
            raise invalid(f"The content of '{target.path}' does not match its Content-Digest; send it again.")
        with scope.project.write() as tx:
            name(tx, scope, target, stored)
    except MltrailError as error:
        # A database that does not answer may have kept the name all the same, so the bytes stay then.
        if error.code is not Code.UNAVAILABLE:
            scope.deps.files.delete(scope.project_id, stored.blob_id)
        raise


def destination_of(path: str) -> Destination:
    """Read where a file is to be. Raises INVALID for a folder itself, and for paths in nobody's folder."""
    path, owner, inner = _resolved(path)
    if not inner:
        raise invalid(f"Invalid path: '{path}' is the folder itself; name a file in it.")
    return Destination(path, owner)


def check_destination(tx: Transaction, scope: Scope, target: Destination, *, size: int) -> None:
    """Refuse early what could not be stored in the end, before a large file is sent."""
    _check_writable(tx, scope, target.owner)
    _check_clash(tx, target.path)
    quotas.check(tx, scope, usage.BYTES, size)


def name(tx: Transaction, scope: Scope, target: Destination, stored: StoredBlob) -> None:
    """Let the name point at the stored bytes, if owner and folder still allow it: much can happen during an upload."""
    held_by, candidate = _check_writable(tx, scope, target.owner)
    # One at a time in a folder, so that `a` and `a/b` can't both come to be.
    files.lock(tx, target.owner.folder)
    _check_clash(tx, target.path)
    beside = _note_writer(tx, scope, held_by, candidate)
    path = target.path
    if beside is not None:
        _check_not_there(tx, target.path, "replace")
        path = _beside(target.owner, target.path, beside)
        files.lock(tx, evidence.folder(beside))
        _check_clash(tx, path)
    files.put(tx, path=path, blob_id=stored.blob_id, size=stored.size, sha256=stored.sha256)
    quotas.take(tx, scope, usage.BYTES, stored.size)


def get(tx: Transaction, target: Destination) -> File | None:
    """Find a file that the owner's jobs have logged, or that others have logged beside it."""
    found = files.get(tx, target.path)
    beside = _amendments_of(tx, target.owner) if found is None else None
    return files.get(tx, _beside(target.owner, target.path, beside)) if beside else found


def find(scope: Scope, path: str) -> File:
    path, owner, inner = _resolved(path)
    with scope.project.read() as tx:
        _amendments_of(tx, owner)
        found = get(tx, Destination(path, owner))
        if found is not None:
            return found
        if files.is_folder(tx, path):
            raise invalid(f"'{path}' is a folder; list it, and download the files in it.")
    raise not_found(Reason.NO_FILE, path=path, inner=inner)


def listing(scope: Scope, path: str) -> list[Entry]:
    """List one level of a folder; a file, or what does not exist, has nothing in it."""
    path, owner, _ = _resolved(path)
    with scope.project.read() as tx:
        beside = _amendments_of(tx, owner)
        found = files.folder_entries(tx, path)
        if beside is None:
            return found
        return _merged(found, files.folder_entries(tx, _beside(owner, path, beside)))


def page(scope: Scope, path: str, token: str | None) -> tuple[list[Entry], str | None]:
    """List a page of one level of a folder, and the token of the next page."""
    path, owner, _ = _resolved(path)
    with scope.project.read() as tx:
        beside = _amendments_of(tx, owner)
        if beside is not None:
            return _page_of_both(tx, path, _beside(owner, path, beside), token)
        return files.folder_page(tx, path, token=token)


def delete(scope: Scope, path: str) -> None:
    """Delete a file or a whole folder; what is not there is no error."""
    path, owner, _ = _resolved(path)
    with scope.project.write() as tx:
        beside = _note_writer(tx, scope, *_check_writable(tx, scope, owner))
        if beside is not None:
            _check_not_there(tx, path, "delete")
            path = _beside(owner, path, beside)
        files.delete(tx, path)


def _resolved(path: str) -> tuple[str, Owner, str]:
    cleaned = paths.clean(path)
    owner, inner = paths.owner_of(cleaned)
    return cleaned, owner, inner


def _amendments_of(tx: Transaction, owner: Owner) -> int | None:
    """Answer the number of what others have logged to the run whose folder it is, if they have. Raises NOT_FOUND for a
    folder that is nobody's.
    """
    held_by = _held_by(tx, owner) if owner.promotion is None else None
    return held_by.amendment_iid if isinstance(held_by, Candidate) else None


def _beside(owner: Owner, path: str, number: int) -> str:
    """Name the place of a path for what others log: the run's folder is the evidence's."""
    return evidence.folder(number) + path.removeprefix(owner.folder)


def _check_not_there(tx: Transaction, path: str, doing: str) -> None:
    """Refuse to replace or delete what a run's own jobs have logged."""
    there = files.get(tx, path) is not None
    if there or files.is_folder(tx, path):
        raise forbidden(
            f"'{path}' was logged by CI jobs, and stays as they logged it, so you can't {doing} it. Log files under "
            "other names, or log to a new run."
        )


def _merged(own: list[Entry], others: list[Entry]) -> list[Entry]:
    names = {one.name for one in own}
    return sorted([*own, *(one for one in others if one.name not in names)], key=lambda one: one.name)


def _page_of_both(tx: Transaction, own: str, others: str, token: str | None) -> tuple[list[Entry], str | None]:
    found, following = files.folder_page(tx, own, token=token)
    if following is not None:
        return found, following
    # What others have logged to a run of CI jobs is little: it goes with the last page.
    return _merged(found, files.folder_entries(tx, others)), None


def _check_writable(tx: Transaction, scope: Scope, owner: Owner) -> tuple[Candidate | LoggedModel, Candidate | None]:
    """Refuse a change in a folder that does not allow it. Answers whose folder it is, and the run that it would be a
    change of.
    """
    if owner.promotion is not None:
        raise conflict("The files of a promoted version never change. Promote another candidate instead.")
    held_by = _held_by(tx, owner)
    if isinstance(held_by, Candidate):
        of_run: Candidate | None = held_by
        # What somebody else has deleted, its own jobs go on with.
        gone_on = held_by.stage is Stage.DELETED and not held_by.discarded and stamp.is_own(tx, scope, held_by)
    else:
        of_run = candidates.get(tx, held_by.source_eid) if held_by.source_eid else None
        gone_on = False
    if held_by.stage is Stage.DELETED and not gone_on:
        raise invalid(f"The owner of '{owner.folder}' is deleted. Restore it first.")
    return held_by, of_run


def _held_by(tx: Transaction, owner: Owner) -> Candidate | LoggedModel:
    found: Candidate | LoggedModel | None
    if owner.eid is not None:
        found = candidates.get(tx, owner.eid)
    else:
        found = logged_models.get(tx, str(owner.logged_model_id))
    if found is None or found.experiment_iid != owner.experiment_iid:
        raise not_found(f"No run or logged model has the folder '{owner.folder}' in this project.")
    if found.elsewhere:
        raise invalid(
            f"The files of '{owner.folder}' lie at {found.elsewhere}, which this server does not read. Use that "
            "URI, with credentials of your own."
        )
    return found


def _note_writer(
    tx: Transaction, scope: Scope, held_by: Candidate | LoggedModel, candidate: Candidate | None
) -> int | None:
    """Note who writes, and answer the number of what stands beside the run, where it is to be kept there."""
    if candidate is None:
        stamp.check_may_begin(scope)
        return None
    protection.check_frozen(scope, candidate)
    if isinstance(held_by, LoggedModel):
        stamp.on_model_write(tx, scope, held_by, candidate)
        return None
    number = stamp.on_write(tx, scope, candidate, {WriteKind.FILES})
    return None if number == candidate.iid else number


def _check_clash(tx: Transaction, path: str) -> None:
    other = files.clash(tx, path)
    if other is not None:
        raise invalid(
            f"'{path}' can't be a file, since '{other}' exists: a file can't stand where a folder is, nor the reverse."
        )
