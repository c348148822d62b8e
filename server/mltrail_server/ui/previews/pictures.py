"""Pictures, for `<img>`: those that begin like one, and SVG, which runs no script and loads nothing there."""

from flask import Response
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File
from mltrail_server.ui import policy

from . import notebook
from .texts import beginning, head

_MOST_PICTURE = 20_000_000
_MOST_SVG = 5_000_000
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
SVG = "image/svg+xml"
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def picture(call: Call, file: File) -> ResponseReturnValue:
    """Send a picture for an `<img>`, and never as a page of its own. Of a notebook, it is that of the output that the
    query names.
    """
    is_notebook = file.path.lower().endswith(".ipynb")
    cell, output = (call.request.args.get(name, -1, type=int) for name in ("cell", "output"))
    # A file of a run may be replaced under its name, but not the bytes of a blob.
    mark = f"{file.sha256 or file.blob_id}{f'.{cell}.{output}' if is_notebook else ''}"
    if call.request.if_none_match.contains(mark):
        return Response(status=304, headers={"Cache-Control": "private, no-cache"})
    found = _of_notebook(call, file, cell, output) if is_notebook else _whole(call, file)
    if found is None:
        raise invalid("This file can't be shown as a picture; download it instead.")
    content_type, body = found
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": "attachment",
        "Content-Security-Policy": policy.PICTURE,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    answer = Response(body, content_type=content_type, headers=headers)
    answer.set_etag(mark)
    return answer


def _whole(call: Call, file: File) -> tuple[str, bytes] | None:
    found = kind(call.scope, file)
    if found is None:
        return None
    return found, b"".join(call.deps.files.get(call.project_id, file.blob_id, length=file.size))


def _of_notebook(call: Call, file: File, cell: int, output: int) -> tuple[str, bytes] | None:
    begun = beginning(call.scope, file, most=file.size) if file.size <= notebook.MOST_BYTES else None
    found = notebook.picture(begun.text, cell, output) if begun is not None and min(cell, output) >= 0 else None
    if found is None:
        return None
    content_type, body = found
    is_one = b"<svg" in body[:4096].lower() if content_type == SVG else signature(body) == content_type
    return found if is_one else None


def kind(scope: Scope, file: File) -> str | None:
    """Return the type of a picture that can be shown, by its name and its first bytes; None for anything else."""
    name = file.path.lower()
    if name.endswith(".svg"):
        return SVG if file.size <= _MOST_SVG and b"<svg" in head(scope, file, 4096).lower() else None
    if not name.endswith(SUFFIXES) or file.size > _MOST_PICTURE:
        return None
    return signature(head(scope, file, 16))


def signature(begins: bytes) -> str | None:
    """Return the type of a picture that begins like this; None if none does."""
    if begins[:4] == b"RIFF" and begins[8:12] == b"WEBP":
        return "image/webp"
    return next((found for start, found in _SIGNATURES if begins.startswith(start)), None)
