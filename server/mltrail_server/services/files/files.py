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
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.tracking import candidates, logged_models, owned_files, usage
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.logged_models import LoggedModel

_CHECKED_FIRST_BYTES = 1 << 20
"""A smaller file has been sent before it could be refused, so it is checked only once, when it gets its name."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a client says about a file that it sends: its size in bytes, None if it comes in chunks, and its SHA-256 in
    hexadecimal if it is given.
    """

    size: int | None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a file is to be stored: a clean path, and the owner of the folder that it is in."""

    path: str
    owner: Owner


def upload(scope: Scope, path: str, stream: BinaryIO, announced: Announced) -> None:
    """Store a file, whole or not at all. A file of that name is replaced in one step.

    A body that ends before its announced size, or has another digest, is not stored. Raises NOT_FOUND for a folder of
    no run or logged model of this project.
    """
    size = announced.size
    destination = destination_of(path)
    if size is None or size > _CHECKED_FIRST_BYTES:
        with scope.project.read() as tx:
            check_destination(tx, scope, destination, size=size or 0)
    # No lock is held while the bytes arrive: a large file may take minutes.
    stored = scope.deps.files.put(scope.project_id, stream, size=size)
    try:
        if size is not None and stored.size != size:
            raise invalid(
                f"The upload of '{destination.path}' was cut off after {stored.size} of {size} bytes; send it again."
            )
        if announced.sha256 not in (None, stored.sha256):
            raise invalid(f"The content of '{destination.path}' does not match its Content-Digest; send it again.")
        if not _add_usual(scope, destination, stored):
            with scope.project.write() as tx:
                name(tx, scope, destination, stored)
    except MltrailError as error:
        # A database that does not answer may have stored the name all the same, so then the bytes stay.
        if error.code is not Code.UNAVAILABLE:
            scope.deps.files.delete(scope.project_id, stored.blob_id)
        raise


def _add_usual(scope: Scope, destination: Destination, stored: StoredBlob) -> bool:
    """Give stored bytes a new name in the usual case, and return whether it was one: somebody logs a new file to a run
    of their own, and there is no quota. `name` is for all the others, and would do the same.
    """
    vouching = stamp.vouching(scope)
    if (
        vouching is None
        or destination.owner.promotion is not None
        or scope.deps.settings.quota(usage.BYTES) is not None
    ):
        return False
    new = owned_files.NewFile(destination.path, destination.owner, stored.blob_id, stored.size, stored.sha256)
    job_id = scope.actor.job.job_id if scope.actor.job is not None else None
    if scope.deps.db.is_sqlite:
        return scope.project.write_together(lambda tx: owned_files.add(tx, new, vouching, job_id))
    with scope.project.at_once() as tx:
        return owned_files.add_at_once(tx, new, vouching, job_id)


def check(scope: Scope, path: str, *, size: int) -> bool:
    """Refuse a file that could not be stored, before any of its bytes are read; return whether there is one of that
    name already. Raises what `upload` raises.
    """
    destination = destination_of(path)
    with scope.project.read() as tx:
        check_destination(tx, scope, destination, size=size)
        return get(tx, destination) is not None


def find(scope: Scope, path: str) -> File:
    path, owner, inner = _resolved(path)
    with scope.project.read() as tx:
        file = owned_files.find(tx, path, owner) if owner.promotion is None else None
        if file is not None:
            return file
        _amendments_of(tx, owner)
        file = get(tx, Destination(path, owner))
        if file is not None:
            return file
        if files.is_folder(tx, path):
            raise invalid(f"'{path}' is a folder; list it, and download the files in it.")
    raise not_found(Reason.NO_FILE, path=path, inner=inner)


def get(tx: Transaction, destination: Destination) -> File | None:
    """Return a file that the owner's jobs have logged, or else one that others have logged to it."""
    file = files.get(tx, destination.path)
    amendments = _amendments_of(tx, destination.owner) if file is None else None
    return files.get(tx, _amended_path(destination.owner, destination.path, amendments)) if amendments else file


def listing(scope: Scope, path: str) -> list[FolderEntry]:
    """List one level of a folder. A file, or a path that does not exist, has nothing in it."""
    path, owner, _ = _resolved(path)
    with scope.project.read() as tx:
        amendments = _amendments_of(tx, owner)
        entries = files.folder_entries(tx, path)
        if amendments is None:
            return entries
        return _merged(entries, files.folder_entries(tx, _amended_path(owner, path, amendments)))


def page(scope: Scope, path: str, token: str | None) -> tuple[list[FolderEntry], str | None]:
    """List a page of one level of a folder, and the token of the next page."""
    path, owner, _ = _resolved(path)
    with scope.project.read() as tx:
        amendments = _amendments_of(tx, owner)
        if amendments is not None:
            return _page_of_both(tx, path, _amended_path(owner, path, amendments), token)
        return files.folder_page(tx, path, token=token)


def delete(scope: Scope, path: str) -> None:
    """Delete a file or a whole folder. A path that does not exist is no error."""
    path, owner, _ = _resolved(path)
    with scope.project.write() as tx:
        amendments = _note_writer(tx, scope, *_check_writable(tx, scope, owner))
        if amendments is not None:
            _check_not_evidence(tx, path, "delete")
            path = _amended_path(owner, path, amendments)
        files.delete(tx, path)


def destination_of(path: str) -> Destination:
    """Read where a file is to be stored. Raises INVALID for a folder itself, and for a path in nobody's folder."""
    path, owner, inner = _resolved(path)
    if not inner:
        raise invalid(f"Invalid path: '{path}' is the folder itself; name a file in it.")
    return Destination(path, owner)


def check_destination(tx: Transaction, scope: Scope, destination: Destination, *, size: int) -> None:
    """Refuse what could not be stored in the end, before a large file is sent."""
    _check_writable(tx, scope, destination.owner)
    _check_clash(tx, destination.path)
    quotas.check(tx, scope, usage.BYTES, size)


def name(tx: Transaction, scope: Scope, destination: Destination, stored: StoredBlob) -> None:
    """Point the name at the stored bytes, if owner and folder still allow it: much can happen during an upload."""
    holder, candidate = _check_writable(tx, scope, destination.owner)
    # So that `a` and `a/b` can't both be created.
    files.lock(tx, destination.path, destination.owner.folder)
    _check_clash(tx, destination.path)
    amendments = _note_writer(tx, scope, holder, candidate)
    path = destination.path
    if amendments is not None:
        _check_not_evidence(tx, destination.path, "replace")
        path = _amended_path(destination.owner, destination.path, amendments)
        files.lock(tx, path, evidence.folder(amendments))
        _check_clash(tx, path)
    files.put(tx, path=path, blob_id=stored.blob_id, size=stored.size, sha256=stored.sha256)
    quotas.take(tx, scope, usage.BYTES, stored.size)


def _resolved(path: str) -> tuple[str, Owner, str]:
    cleaned = paths.clean(path)
    owner, inner = paths.owner_of(cleaned)
    return cleaned, owner, inner


def _amendments_of(tx: Transaction, owner: Owner) -> int | None:
    """Return the number of the amendments of the run that owns a folder, if it has any. Raises NOT_FOUND for a folder
    that nobody owns.
    """
    holder = _holder_of(tx, owner) if owner.promotion is None else None
    return holder.amendment_iid if isinstance(holder, Candidate) else None


def _amended_path(owner: Owner, path: str, number: int) -> str:
    """Return the path of a file that others log to a run: the run's own folder is for the evidence."""
    return evidence.folder(number) + path.removeprefix(owner.folder)


def _merged(own: list[FolderEntry], others: list[FolderEntry]) -> list[FolderEntry]:
    names = {entry.name for entry in own}
    return sorted([*own, *(entry for entry in others if entry.name not in names)], key=lambda entry: entry.name)


def _page_of_both(tx: Transaction, own: str, others: str, token: str | None) -> tuple[list[FolderEntry], str | None]:
    entries, next_token = files.folder_page(tx, own, token=token)
    if next_token is not None:
        return entries, next_token
    # Others log few files to a run of CI jobs: they are listed on the last page.
    return _merged(entries, files.folder_entries(tx, others)), None


def _check_writable(tx: Transaction, scope: Scope, owner: Owner) -> tuple[Candidate | LoggedModel, Candidate | None]:
    """Refuse a change in a folder that does not allow it. Returns what the folder belongs to, and the run that the
    change would be a part of.
    """
    if owner.promotion is not None:
        raise conflict("The files of a promoted version never change. Promote another candidate instead.")
    holder = _holder_of(tx, owner)
    if isinstance(holder, Candidate):
        of_run: Candidate | None = holder
        # Its own jobs may write to it even after somebody else has deleted it.
        written_by_own_job = holder.stage is Stage.DELETED and not holder.discarded and stamp.is_own(tx, scope, holder)
    else:
        of_run = candidates.get(tx, holder.source_eid) if holder.source_eid else None
        written_by_own_job = False
    if holder.stage is Stage.DELETED and not written_by_own_job:
        raise invalid(f"The owner of '{owner.folder}' is deleted. Restore it first.")
    return holder, of_run


def _holder_of(tx: Transaction, owner: Owner) -> Candidate | LoggedModel:
    holder: Candidate | LoggedModel | None
    if owner.eid is not None:
        holder = candidates.get(tx, owner.eid)
    else:
        holder = logged_models.get(tx, str(owner.logged_model_id))
    if holder is None or holder.experiment_iid != owner.experiment_iid:
        raise not_found(f"No run or logged model has the folder '{owner.folder}' in this project.")
    if holder.elsewhere:
        raise invalid(
            f"The files of '{owner.folder}' lie at {holder.elsewhere}, which this server does not read. Use that "
            "URI, with credentials of your own."
        )
    return holder


def _note_writer(
    tx: Transaction, scope: Scope, holder: Candidate | LoggedModel, candidate: Candidate | None
) -> int | None:
    """Note who writes, and return the number of the run's amendments if the write is to be kept as one."""
    if candidate is None:
        stamp.check_may_begin(scope)
        return None
    protection.check_frozen(scope, candidate)
    if isinstance(holder, LoggedModel):
        stamp.on_model_write(tx, scope, holder, candidate)
        return None
    number = stamp.on_write(tx, scope, candidate, {WriteKind.FILES})
    return None if number == candidate.iid else number


def _check_not_evidence(tx: Transaction, path: str, doing: str) -> None:
    """Refuse to replace or delete what a run's own jobs have logged."""
    if files.get(tx, path) is not None or files.is_folder(tx, path):
        raise forbidden(
            f"'{path}' was logged by CI jobs, and stays as they logged it, so you can't {doing} it. Log files under "
            "other names, or log to a new run."
        )


def _check_clash(tx: Transaction, path: str) -> None:
    other = files.clash(tx, path)
    if other is not None:
        raise invalid(
            f"'{path}' can't be a file, since '{other}' exists: a file can't stand where a folder is, nor the reverse."
        )
