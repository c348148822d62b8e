"""Users' files that a page shows by the browser itself: HTML and PDF in a frame, sounds in a player."""

from pathlib import PurePosixPath

from flask import Response, redirect
from flask.typing import ResponseReturnValue

from mltrail_server.domain.errors import invalid
from mltrail_server.http.call import Call
from mltrail_server.http.downloads import attachment
from mltrail_server.store.files.files import File
from mltrail_server.ui import policy

from .preview import FilePreview
from .texts import begins_with

_MOST_HTML = 30_000_000
_HTML = frozenset({".html", ".htm"})
_SOUNDS = {
    ".wav": "audio/wav",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
}


def framed(call: Call, file: File, page: str) -> ResponseReturnValue:
    """Send a file for a frame or a player on `page`, the address of the file's own page. Whoever asks for the file
    itself is sent there.
    """
    suffix = PurePosixPath(file.path.lower()).suffix
    # Browsers say where a document goes, over HTTPS and to this machine. A window of its own could go elsewhere, with
    # what is in it, and would look as if it were ours.
    goes = call.request.headers.get("Sec-Fetch-Dest", "")
    if suffix in _SOUNDS:
        answer = attachment(call.scope, file, call.request)
        if answer.status_code in (200, 206):
            answer.headers["Content-Type"] = _SOUNDS[suffix]
        return answer
    if suffix == ".pdf" and begins_with(call.scope, file, b"%PDF-"):
        return _inline(call, file, "application/pdf", policy.FRAMED_PDF)
    if suffix in _HTML and file.size <= _MOST_HTML:
        if goes not in ("", "iframe"):
            return redirect(page, 302)
        scripts = call.request.args.get("scripts") == "1" and goes == "iframe"
        return _inline(call, file, "text/html; charset=utf-8", policy.of_framed_file(scripts=scripts))
    raise invalid("This file can't be shown; download it instead.")


def around(body: str, preview: FilePreview) -> Response:
    """Answer with a page that shows a file, whose policy allows the frame or the player that it has."""
    rules = policy.of_page(frames=preview.kind in ("html", "pdf"), sounds=preview.kind == "sound")
    return Response(body, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": rules})


def _inline(call: Call, file: File, content_type: str, rules: str) -> Response:
    headers = {
        "Cache-Control": "private, no-store",
        "Content-Disposition": "inline",
        "Content-Length": str(file.size),
        "Content-Security-Policy": rules,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-DNS-Prefetch-Control": "off",
    }
    body = call.deps.files.get(call.project_id, file.blob_id, length=file.size)
    return Response(body, content_type=content_type, headers=headers)
