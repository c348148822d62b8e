"""Send users' files so that a browser never runs them: as attachments, without sniffing, in a sandbox."""

from pathlib import PurePosixPath
from typing import Any

from flask import Request, Response, send_file
from werkzeug.http import dump_options_header, parse_range_header

from mltrail_server.services.deps import Scope
from mltrail_server.store.files import File

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private, no-cache",
}


def attachment(scope: Scope, file: File, request: Request) -> Response:
    """Answer with a file's bytes, or the range of them that was asked for."""
    name = PurePosixPath(file.path).name
    path = scope.deps.files.local_path(scope.project_id, file.blob_id)
    if path is None:
        response = _streamed(scope, file, request)
        response.headers["Content-Disposition"] = dump_options_header("attachment", {"filename": name})
    else:
        response = send_file(
            path,
            mimetype="application/octet-stream",
            as_attachment=True,
            download_name=name,
            etag=file.sha256,
            conditional=True,
            max_age=0,
        )
    response.headers.update(_HEADERS)
    return response


def _streamed(scope: Scope, file: File, request: Request) -> Response:
    wanted = parse_range_header(request.headers.get("Range"))
    bounds = wanted.range_for_length(file.size) if wanted else None
    start, stop = bounds or (0, file.size)
    body: Any = scope.deps.files.get(scope.project_id, file.blob_id, start=start, length=stop - start)
    response = Response(body, status=206 if bounds else 200, content_type="application/octet-stream")
    response.headers["Content-Length"] = str(stop - start)
    response.headers["Accept-Ranges"] = "bytes"
    if bounds:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    response.set_etag(file.sha256)
    return response
