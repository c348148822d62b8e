"""Files of traces, as MLflow's clients send and fetch them: `traces.json`, which has the spans, and their attachments
(images, sounds) in the folder `attachments`.
"""

import re
from typing import TYPE_CHECKING, BinaryIO

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid, not_found
from mltrail_server.domain.paths import TraceFile
from mltrail_server.domain.reasons import Reason
from mltrail_server.domain.traces import Trace
from mltrail_server.later import later
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import quotas
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File, FolderEntry
from mltrail_server.store.tracking import usage

from . import rights

if TYPE_CHECKING:
    from . import spans, traces
else:
    spans, traces = later(__package__, "spans", "traces")

SPANS = "traces.json"
_ATTACHMENT = re.compile(r"attachments/[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")
MOST_OF_ATTACHMENT = 64 * 1024**2
_CHUNK = 1 << 16


def upload(scope: Scope, place: TraceFile, stream: BinaryIO, size: int | None) -> None:
    """Store a file of a trace that was announced. Raises INVALID for a name that no such file has, TOO_LARGE."""
    if place.name == SPANS:
        with scope.project.read() as tx:
            rights.check_may_change(tx, scope, _owner(tx, place))
        spans.receive_file(scope, place.experiment_iid, place.trace_id, _whole(stream, size))
        return
    check_attachment(place, None)  # the store measures it
    with scope.project.read() as tx:
        rights.check_may_change(tx, scope, _owner(tx, place))
        quotas.check(tx, scope, usage.BYTES, size or 0)
    stored = scope.deps.files.put(scope.project_id, stream, size=size, limit=MOST_OF_ATTACHMENT)
    try:
        if size is not None and stored.size != size:
            raise _cut_off(stored.size, size)
        with scope.project.write() as tx:
            traces.changeable(tx, scope, place.trace_id)
            files.put(tx, path=place.path, blob_id=stored.blob_id, size=stored.size, sha256=stored.sha256)
            quotas.take(tx, scope, usage.BYTES, stored.size)
    except MltrailError as error:
        if error.code is not Code.UNAVAILABLE:
            scope.deps.files.delete(scope.project_id, stored.blob_id)
        raise


def check_attachment(place: TraceFile, size: int | None) -> None:
    """Raises INVALID for a name that no attachment has, TOO_LARGE for a size."""
    if _ATTACHMENT.fullmatch(place.name) is None:
        raise invalid(
            f"A trace can only have the file {SPANS}, and attachments named by UUIDs in the folder attachments."
        )
    if size is not None and size > MOST_OF_ATTACHMENT:
        raise MltrailError(
            Code.TOO_LARGE, f"It has {size:,} bytes, and attachments of traces have {MOST_OF_ATTACHMENT:,} at most."
        )


def content(scope: Scope, place: TraceFile) -> bytes | File:
    """Return the bytes of `traces.json`, or the attachment. Raises NOT_FOUND."""
    with scope.project.read() as tx:
        _owner(tx, place)
        file = files.get(tx, place.path) if place.name != SPANS else None
    found = spans.traces_json(scope, place.trace_id) if place.name == SPANS else file
    if found is None:
        raise not_found(Reason.NO_FILE, path=place.path, inner=place.name)
    return found


def listing(scope: Scope, place: TraceFile) -> list[FolderEntry]:
    """List one level of a trace's folder. A file, or a path that does not exist, has nothing in it. Raises NOT_FOUND
    for a trace that does not exist.
    """
    with scope.project.read() as tx:
        _owner(tx, place)
        entries = files.folder_entries(tx, place.path)
    found = spans.traces_json(scope, place.trace_id) if not place.name else None
    return entries if found is None else [*entries, FolderEntry(SPANS, len(found))]


def _owner(tx: Transaction, place: TraceFile) -> Trace:
    trace = traces.existing(tx, place.trace_id)
    if trace.experiment_iid != place.experiment_iid:
        raise traces.no_trace(place.trace_id)
    return trace


def _whole(stream: BinaryIO, size: int | None) -> bytes:
    if size is not None and size > limits.MAX_TRACE_BYTES:
        raise _too_large()
    pieces: list[bytes] = []
    total = 0
    while piece := stream.read(_CHUNK):
        pieces.append(piece)
        total += len(piece)
        if total > limits.MAX_TRACE_BYTES:
            raise _too_large()
    if size is not None and total != size:
        raise _cut_off(total, size)
    return b"".join(pieces)


def _cut_off(total: int, size: int) -> MltrailError:
    return invalid(f"The upload was cut off after {total} of {size} bytes; send it again.")


def _too_large() -> MltrailError:
    return MltrailError(
        Code.TOO_LARGE,
        f"{SPANS} is larger than {limits.MAX_TRACE_BYTES:,} bytes. Keep large inputs and outputs out of spans.",
    )
