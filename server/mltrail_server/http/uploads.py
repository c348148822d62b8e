"""Files that a client sends: what it says about them, and their bytes as they arrive."""

import base64
import binascii
import io
import re

from flask import Request

from mltrail_server.domain.errors import invalid
from mltrail_server.services.files.files import Announced

from .slow_bodies import SLOW_BODIES

_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:(?P<digest>[A-Za-z0-9+/=]+):\s*(?:$|[,;])")


def announced(request: Request) -> Announced:
    """Read what a client says about its file: the size, unless it is sent in chunks, and the digest, if any.

    The web server can't distinguish the end of a chunked body from a lost connection, so only a digest proves that such
    a file is complete: https://www.rfc-editor.org/rfc/rfc9530. Raises INVALID for a malformed digest.
    """
    match = _SHA256.search(request.environ.get("HTTP_CONTENT_DIGEST", ""))
    if match is None:
        return Announced(request.content_length)
    try:
        digest = base64.b64decode(match["digest"], validate=True)
    except binascii.Error as error:
        raise invalid("The header Content-Digest must look like `sha-256=:<base64>:`.") from error
    return Announced(request.content_length, digest.hex())


_PIECE = 1 << 18


class FileStream(io.RawIOBase):
    """The bytes of a file, as they arrive. Raises SLOW if they don't arrive in time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or without a size all that is left; no bytes mean the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        data = SLOW_BODIES.read(self._request, self._request.stream, min(size, _PIECE), self._read)
        self._read += len(data)
        return data
