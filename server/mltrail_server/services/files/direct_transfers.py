"""Files that clients exchange directly with the object store, bypassing this server, by URLs valid for minutes.

The store must support it, and the operator must want it (`MLTRAIL_S3_DIRECT`). A client that gets NOT_IMPLEMENTED sends
and fetches whole files through this server.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.artifacts.base import MultipartUpload, StoredBlob, UploadPart
from mltrail_server.artifacts.whole_files import refused
from mltrail_server.domain.errors import Code, MltrailError, conflict, invalid, not_found
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import uploads
from mltrail_server.store.files.files import File
from mltrail_server.store.files.uploads import Upload

from . import files

MOST_PARTS = 10_000
MOST_OPEN = 100
"""Uploads under way in a project. Their bytes count for no quota until they have a name, so they are limited."""


@dataclass(frozen=True, slots=True)
class PartUrl:
    number: int
    url: str


def begin(scope: Scope, path: str, parts: int) -> tuple[str, list[PartUrl]]:
    """Begin an upload in a number of parts. Returns its id, and where to PUT each part within an hour."""
    _check_enabled(scope)
    destination = files.destination_of(path)
    if not 1 <= parts <= MOST_PARTS:
        raise invalid(Reason.NUMBER_OF_PARTS, given=parts, most=MOST_PARTS)
    with scope.project.read() as tx:
        files.check_destination(tx, scope, destination, size=0)
        if uploads.count(tx) >= MOST_OPEN:
            raise MltrailError(
                Code.NOT_IMPLEMENTED,
                f"{MOST_OPEN} uploads in parts are under way in this project, so no more are begun. Send the file in "
                "one call; those that nobody finishes are given up after a day.",
            )
    begun = scope.deps.files.begin(scope.project_id)
    upload = Upload(begun.blob_id, destination.path, begun.store_id, parts)
    with scope.project.write() as tx:
        uploads.add(tx, upload)
    urls = [
        PartUrl(number, scope.deps.files.part_url(scope.project_id, begun, number)) for number in range(1, parts + 1)
    ]
    return upload.id, urls


def complete(scope: Scope, path: str, upload_id: str, parts: Sequence[UploadPart]) -> None:
    """Put the parts together and give the file its name, if owner, folder and quota still allow it.

    If a client asks again after a lost answer, it succeeds again.
    """
    destination = files.destination_of(path)
    with scope.project.read() as tx:
        upload = uploads.get(tx, upload_id)
        if upload is None and _is_named(tx, destination, upload_id):
            return
        files.check_destination(tx, scope, destination, size=0)
    if upload is None or upload.path != destination.path:
        raise not_found(f"No upload '{upload_id[:40]}' of '{destination.path}' is under way. Send the file again.")
    ordered = sorted(parts, key=lambda part: part.number)
    if [part.number for part in ordered] != list(range(1, upload.parts + 1)):
        raise invalid(f"The upload was begun with {upload.parts} parts; list all of them, each once.")
    size = scope.deps.files.complete(scope.project_id, MultipartUpload(upload.id, upload.store_id), ordered)
    try:
        with scope.project.write() as tx:
            if not uploads.remove(tx, upload.id):
                raise conflict("The upload was given up or finished by another call meanwhile.")
            files.name(tx, scope, destination, StoredBlob(upload.id, size, None))
    except MltrailError as error:
        if error.code is not Code.UNAVAILABLE:
            _discard(scope, upload)
        raise


def abort(scope: Scope, path: str, upload_id: str) -> None:
    """Give up an upload. One that is not under way is no error: it may have ended."""
    destination = files.destination_of(path)
    with scope.project.read() as tx:
        upload = uploads.get(tx, upload_id)
    if upload is None or upload.path != destination.path:
        return
    with scope.project.write() as tx:
        removed = uploads.remove(tx, upload.id)
    if removed:
        scope.deps.files.abort(scope.project_id, MultipartUpload(upload.id, upload.store_id))


def download_url(scope: Scope, file: File, *, disposition: str) -> str:
    """Return a URL by which anyone who has it can download the file for five minutes."""
    _check_enabled(scope)
    return scope.deps.files.download_url(scope.project_id, file.blob_id, disposition=disposition)


def _discard(scope: Scope, upload: Upload) -> None:
    """Delete the bytes of an upload that was refused in the end, unless another call has named them."""
    with scope.project.write() as tx:
        uploads.remove(tx, upload.id)
        named = _is_named(tx, files.destination_of(upload.path), upload.id)
    if not named:
        scope.deps.files.delete(scope.project_id, upload.id)


def _is_named(tx: Transaction, destination: files.Destination, upload_id: str) -> bool:
    """Return whether a file holds the bytes of an upload, because another call has finished it."""
    file = files.get(tx, destination)
    return file is not None and file.blob_id == upload_id


def _check_enabled(scope: Scope) -> None:
    if scope.deps.settings.s3_direct == "off":
        raise refused()
