"""What a client says of a file that it sends: how large it is, and what it holds."""

import base64
import binascii
import re

from flask import Request

from mltrail_server.domain.errors import invalid
from mltrail_server.services.files import Announced

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
