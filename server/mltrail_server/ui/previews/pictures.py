"""Pictures, for `<img>`: those that begin like one, and SVG, which runs no script and loads nothing there."""

from flask import Response
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File
from mltrail_server.ui import policy

from .texts import head

_MOST_PICTURE = 20_000_000
_MOST_SVG = 5_000_000
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def picture(call: Call, file: File) -> ResponseReturnValue:
    """Send a picture for an `<img>`, and never as a page of its own."""
    found = kind(call.scope, file)
    if found is None:
        raise invalid("This file can't be shown as a picture; download it instead.")
    body = b"".join(call.deps.files.get(call.project_id, file.blob_id, length=file.size))
    headers = {
        # A file of a run may be replaced under its name, but not the bytes of a blob.
        "Cache-Control": "private, no-cache",
        "Content-Disposition": "attachment",
        "Content-Security-Policy": policy.PICTURE,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    answer = Response(body, content_type=found, headers=headers)
    answer.set_etag(file.sha256 or file.blob_id)
    return answer.make_conditional(call.request)


def kind(scope: Scope, file: File) -> str | None:
    """Return the type of a picture that can be shown, by its name and its first bytes; None for anything else."""
    name = file.path.lower()
    if name.endswith(".svg"):
        return "image/svg+xml" if file.size <= _MOST_SVG and b"<svg" in head(scope, file, 4096).lower() else None
    if not name.endswith(SUFFIXES) or file.size > _MOST_PICTURE:
        return None
    begins = head(scope, file, 16)
    if begins[:4] == b"RIFF" and begins[8:12] == b"WEBP":
        return "image/webp"
    return next((found for signature, found in _SIGNATURES if begins.startswith(signature)), None)
