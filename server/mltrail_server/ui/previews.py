"""Show users' files without running them: the beginning of a text, escaped, or a picture of a kind that can't contain a
script.
"""

import csv
import io
import json
from dataclasses import dataclass, field
from itertools import islice

from flask import Response
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File

_MOST_TEXT = 100_000
_MOST_PICTURE = 20_000_000
_MOST_ROWS = 200
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_PICTURE_NAMES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What can be shown of a file: a picture, a table, a text, or nothing."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    cut: bool = False


def of(scope: Scope, file: File) -> FilePreview:
    """Read the beginning of a file and decide how to show it."""
    if file.path.lower().endswith(_PICTURE_NAMES) and file.size <= _MOST_PICTURE and _picture(scope, file):
        return FilePreview("picture")
    body = _beginning(scope, file, _MOST_TEXT)
    cut = file.size > len(body)
    try:
        # A character may be cut in two at the end.
        text = body.decode() if not cut else body.decode(errors="ignore")
    except UnicodeDecodeError:
        return FilePreview("none")
    if "\0" in text:
        return FilePreview("none")
    return _as_table(file, text, cut=cut) or FilePreview("text", _laid_out(file, text, cut=cut), cut=cut)


def picture(call: Call, file: File) -> ResponseReturnValue:
    """Send a picture for an `<img>`: a raster image, recognized by its first bytes, and never as a page of its own."""
    kind = _picture(call.scope, file)
    if kind is None or file.size > _MOST_PICTURE:
        raise invalid("This file is no picture that can be shown; download it.")
    body = b"".join(call.deps.files.get(call.project_id, file.blob_id, length=file.size))
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": "attachment",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(body, content_type=kind, headers=headers)


def _picture(scope: Scope, file: File) -> str | None:
    head = _beginning(scope, file, 16)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if head.startswith(signature)), None)


def _beginning(scope: Scope, file: File, most: int) -> bytes:
    length = min(file.size, most)
    if not length:
        return b""
    return b"".join(scope.deps.files.get(scope.project_id, file.blob_id, start=0, length=length))


def _as_table(file: File, text: str, *, cut: bool) -> FilePreview | None:
    name = file.path.lower()
    if not name.endswith((".csv", ".tsv")):
        return None
    try:
        reader = csv.reader(io.StringIO(text), delimiter="\t" if name.endswith(".tsv") else ",", strict=False)
        rows = [row[:100] for row in islice(reader, _MOST_ROWS + 1)]
    except csv.Error:
        return None
    return FilePreview("table", rows=rows[:_MOST_ROWS], cut=cut or len(rows) > _MOST_ROWS)


def _laid_out(file: File, text: str, *, cut: bool) -> str:
    """Indent JSON that is all on one line."""
    if cut or not file.path.lower().endswith(".json") or "\n" in text.strip():
        return text
    try:
        laid_out = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
    # Deep nesting makes more blanks than text.
    return laid_out if len(laid_out) <= 4 * len(text) else text
