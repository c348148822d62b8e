"""What an import has written and people may change here, so that the next import overwrites no change of theirs.

Only a digest of each value is kept, eight bytes long: a value here without one was set by somebody else. Nobody can
forge a digest. Otherwise whoever wrote the history, and so chose its names and values, could make a value here, such as
the champion, look like ours, and the next import would replace it with the source's.
"""

import base64
import hashlib
import struct
from collections.abc import Iterable


def digests_of(values: Iterable[tuple[str, str]]) -> str:
    """Return the digests of fields and their values, as text."""
    digests = sorted({_digest(name, value) for name, value in values})
    return base64.b85encode(struct.pack(f"<{len(digests)}Q", *digests)).decode()


class WrittenValues:
    """Reads that text."""

    def __init__(self, text: str) -> None:
        packed = base64.b85decode(text)
        self._digests = frozenset(struct.unpack(f"<{len(packed) // 8}Q", packed))

    def has(self, name: str, value: str) -> bool:
        """Return whether an import has written this value."""
        return _digest(name, value) in self._digests


def fingerprint(*said: object) -> str:
    """Return the same text if the source says the same again. Dictionaries must be given in a fixed order."""
    return hashlib.sha256(repr(said).encode("utf-8", "surrogatepass")).hexdigest()[:60]


def _digest(name: str, value: str) -> int:
    content = f"{len(name)} {name}{value}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
