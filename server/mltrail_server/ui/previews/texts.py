"""Text with numbered lines, and Markdown."""

import re
from dataclasses import dataclass

from mltrail_server.services.context.deps import Scope
from mltrail_server.store.files.files import File
from mltrail_server.ui import prose

from .preview import FilePreview

MOST_TEXT = 100_000
_MOST_LINES = 5_000
_MOST_MARKDOWN = 20_000
_MOST_STRANGE = 0.1
"""The share of characters that can't be read from which on a file is not taken for text."""
_TURNING = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069\u061c]")
"""Characters that turn the order of the text around them: what one reads is then not what is there."""
_BYTE_ORDER_MARKS = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Beginning:
    text: str
    cut: bool
    strange: bool = False  # some bytes are no text


def head(scope: Scope, file: File, most: int) -> bytes:
    length = min(file.size, most)
    return b"".join(scope.deps.files.get(scope.project_id, file.blob_id, start=0, length=length)) if length else b""


def begins_with(scope: Scope, file: File, signature: bytes) -> bool:
    return head(scope, file, len(signature)) == signature


def beginning(scope: Scope, file: File, *, most: int = MOST_TEXT) -> Beginning | None:
    """Read the beginning of a text file; None if it is none."""
    return decoded(head(scope, file, most), cut=file.size > most)


def decoded(body: bytes, *, cut: bool) -> Beginning | None:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return Beginning(body[2:].decode(encoding, errors="replace"), cut)
    body = body.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in body:
        return None
    try:
        # A character may be cut in two at the end.
        return Beginning(body.decode() if not cut else _without_half(body).decode(), cut)
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
    return None if text.count("\ufffd") > _MOST_STRANGE * len(text) else Beginning(text, cut, strange=True)


def lined(begun: Beginning, *, source: bool) -> FilePreview:
    """Show a text as it is, with numbers of its lines."""
    lines = visible(begun.text).replace("\r\n", "\n").split("\n")
    shown = lines[:_MOST_LINES]
    remark = "Some bytes are not UTF-8; they are shown as \ufffd." if begun.strange else ""
    return FilePreview(
        "text",
        text="\n".join(shown),
        numbers="\n".join(map(str, range(1, len(shown) + 1))),
        cut=begun.cut or len(lines) > len(shown),
        remark=remark,
        source=source,
    )


def markdown(text: str) -> FilePreview | None:
    """Show Markdown as descriptions are shown; long texts stay as they are, since reading them could take long."""
    if len(text) > _MOST_MARKDOWN:
        return None
    return FilePreview("prose", markup=prose.shown(text, _MOST_MARKDOWN), source=True)


def visible(text: str) -> str:
    """Write the characters that turn the text around them as their numbers."""
    return _TURNING.sub(lambda found: f"\u27e8U+{ord(found[0]):04X}\u27e9", text)


def _without_half(body: bytes) -> bytes:
    """Cut off the bytes of a character whose rest is missing."""
    for length in range(1, 4):
        byte = body[-length] if len(body) >= length else 0
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return body[:-length] if needed > length else body
    return body
