"""Files that a client sends: what it says of them, and their bytes as they come."""

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
    """Read what a client says of its file: its size, where it does not come in chunks, and its digest, if any.

    The web server does not tell the end of a body in chunks from a lost connection, so only a digest makes sure of
    those: https://www.rfc-editor.org/rfc/rfc9530. Raises INVALID for a digest that is none.
    """
    match = _SHA256.search(request.headers.get("Content-Digest", ""))
    if match is None:
        return Announced(request.content_length)
    try:
        digest = base64.b64decode(match["digest"], validate=True)
    except binascii.Error as error:
        raise invalid("The header Content-Digest must look like `sha-256=:<base64>:`.") from error
    return Announced(request.content_length, digest.hex())


_PIECE = 1 << 18


class FileStream(io.RawIOBase):
    """The bytes of a file, as they come. Raises SLOW when they do not come in time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._read = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or all that is left without a size; no bytes mean the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        data = SLOW_BODIES.read(self._request, self._request.stream, min(size, _PIECE), self._read)
        self._read += len(data)
        return data
