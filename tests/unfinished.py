"""A call that is in progress for as long as a test wants."""

import socket
from urllib.parse import urlsplit


def begin(
    url: str, path: str, token: str, *, size: int, sent: bytes = b"", kind: str = "application/json"
) -> socket.socket:
    """Send the head of a request and a part of its body, and no more."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=120)
    head = (
        f"{'PUT' if 'artifacts' in path else 'POST'} {parts.path}{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    )
    connection.sendall(head.encode() + sent)
    return connection
