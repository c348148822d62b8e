"""Send users' files so that a browser never runs them: as attachments, without sniffing, sandboxed."""

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from flask import Request, Response
from werkzeug.http import dump_options_header, quote_etag

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File

_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
_BYTES = "application/octet-stream"
_KINDS = {
    **dict.fromkeys((".txt", ".log", ".md", ".py", ".yaml", ".yml", ".toml", ".cfg", ".ini", ".sh"), "text/plain"),
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    ".csv": "text/csv",
    ".gif": "image/gif",
    ".json": "application/json",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".webp": "image/webp",
}
"""Types that no browser treats as a page or script. HTML, SVG and unknown types are sent as bytes."""

_TEXTS = frozenset({"mlmodel", "mlproject", "dockerfile", "license"})
_AT_ONCE = 1 << 18
"""A body up to this size, in bytes, is made whole: the web server then sends it with its head."""

_CHUNK = 1 << 18


def attachment(scope: Scope, file: File, request: Request) -> Response:
    """Respond with a file's bytes, or with the requested range (one range; for several, the whole file).

    What the client already has is not sent again, not even a range of it:
    https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
    """
    etag = _etag(file)
    headers = _HEADERS | {"ETag": quote_etag(etag)}
    # Werkzeug calls several functions to read a header, even if nobody has sent it.
    if "HTTP_IF_NONE_MATCH" in request.environ and request.if_none_match.contains_weak(etag):
        return Response(status=304, headers=headers)
    wanted = _wanted(file, request)
    if wanted == (0, 0):
        return Response(status=416, headers=headers | {"Content-Range": f"bytes */{file.size}"})
    start, stop = wanted or (0, file.size)
    headers |= {
        "Content-Disposition": disposition(file),
        "Content-Length": str(stop - start),
        "Content-Type": _kind(file.path),
    }
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    status = 200 if wanted is None else 206
    if request.method == "HEAD":
        return Response(status=status, headers=headers)
    # Passed through directly: nothing needs to be done with each chunk.
    return Response(_body(scope, file, start, stop, request), status, headers, direct_passthrough=True)


def attachment_of(content: bytes, name: str) -> Response:
    """Respond with bytes that are a file for the client, though they are not stored as one."""
    headers = _HEADERS | {"Content-Disposition": _disposition(name), "Content-Type": _kind(name)}
    del headers["Accept-Ranges"]
    return Response(content, headers=headers)


def _body(scope: Scope, file: File, start: int, stop: int, request: Request) -> Iterable[bytes]:
    """Create the body in the cheapest way: all at once, through the web server's file wrapper, or in chunks."""
    send_file = request.environ.get("wsgi.file_wrapper")
    if send_file is not None and stop - start > _AT_ONCE:
        path = scope.deps.files.local_path(scope.project_id, file.blob_id)
        if path is not None:
            opened = Path(path).open("rb")  # noqa: SIM115 - the web server closes it
            opened.seek(start)
            wrapped: Iterable[bytes] = send_file(opened, _CHUNK)
            return wrapped
    chunks = scope.deps.files.get(scope.project_id, file.blob_id, start=start, length=stop - start)
    return [b"".join(chunks)] if stop - start <= _AT_ONCE else chunks


def _kind(file: str) -> str:
    name = file.rpartition("/")[2].lower()
    stem, dot, suffix = name.rpartition(".")
    return "text/plain" if name in _TEXTS else _KINDS.get(dot + suffix, _BYTES) if stem else _BYTES


def disposition(file: File) -> str:
    """Return the header that says that a file is to be saved, and under which name."""
    return _disposition(file.path.rpartition("/")[2])


def _disposition(name: str) -> str:
    if name.isascii():
        return dump_options_header("attachment", {"filename": name})
    # RFC 5987, for names that are not plain ASCII.
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _etag(file: File) -> str:
    """Identify the content. A blob never changes, so its id will do while the digest is not known yet."""
    return file.sha256 or file.blob_id


def _wanted(file: File, request: Request) -> tuple[int, int] | None:
    """Read `Range` as start and stop; (0, 0) for a range that the file does not have, None for the whole file.

    A header that can't be parsed is ignored: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    """
    asked = request.range if "HTTP_RANGE" in request.environ else None
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if request.if_range.etag not in (None, _etag(file)) or request.if_range.date is not None:
        return None
    return asked.range_for_length(file.size) or (0, 0)
