"""Send users' files so that a browser never runs them: as attachments, without sniffing, in a sandbox."""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from flask import Request, Response, send_file
from werkzeug.http import dump_options_header

from mltrail_server.services.deps import Scope
from mltrail_server.store.files import File

_HEADERS = {
    "Accept-Ranges": "bytes",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}
_TYPE = "application/octet-stream"


def attachment(scope: Scope, file: File, request: Request) -> Response:
    """Answer with a file's bytes, or the range of them that was asked for (one range; several get the whole file).

    What the client has already is not sent again, and a range of it neither:
    https://www.rfc-editor.org/rfc/rfc9110#section-13.2.2
    """
    etag = _etag(file)
    if request.if_none_match.contains_weak(etag):
        response = Response(status=304)
        response.set_etag(etag)
    else:
        wanted = _wanted(file, request)
        if wanted == (0, 0):
            response = Response(status=416, headers={"Content-Range": f"bytes */{file.size}"})
        elif wanted is not None:
            response = _part(scope, file, *wanted)
        else:
            response = _whole(scope, file)
    response.headers.update(_HEADERS)
    return response


def disposition(file: File) -> str:
    """Say that a file is to be saved, and under which name."""
    name = PurePosixPath(file.path).name
    if name.isascii():
        return dump_options_header("attachment", {"filename": name})
    # RFC 5987, for names that are not plain ASCII.
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _etag(file: File) -> str:
    """Name the content: a blob never changes, so its id does as well as a digest that is not known yet."""
    return file.sha256 or file.blob_id


def _wanted(file: File, request: Request) -> tuple[int, int] | None:
    """Read `Range` as start and stop; (0, 0) for a range that the file does not have, None for the whole file.

    A header that can't be read is passed over: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    """
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if request.if_range.etag not in (None, _etag(file)) or request.if_range.date is not None:
        return None
    return asked.range_for_length(file.size) or (0, 0)


def _whole(scope: Scope, file: File) -> Response:
    path = scope.deps.files.local_path(scope.project_id, file.blob_id)
    if path is not None:
        response = send_file(path, mimetype=_TYPE, conditional=False, etag=_etag(file), max_age=0)
    else:
        body: Any = scope.deps.files.get(scope.project_id, file.blob_id, start=0, length=file.size)
        response = Response(body, content_type=_TYPE)
        response.content_length = file.size
        response.set_etag(_etag(file))
    return _named(response, file)


def _part(scope: Scope, file: File, start: int, stop: int) -> Response:
    body: Any = scope.deps.files.get(scope.project_id, file.blob_id, start=start, length=stop - start)
    response = Response(body, status=206, content_type=_TYPE)
    response.content_length = stop - start
    response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    response.set_etag(_etag(file))
    return _named(response, file)


def _named(response: Response, file: File) -> Response:
    response.headers["Content-Disposition"] = disposition(file)
    return response
