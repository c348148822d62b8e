"""Read an archive: first check all of it, then give out its rows and contents.

What it says of itself is not believed: names of files are made from numbers and digests, never taken from it; nothing
is unpacked beyond what was announced; and no line may be longer than the longest that a server writes.
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from mltrail_server.domain.errors import invalid
from mltrail_server.domain.ids import is_blob_id
from mltrail_server.services.promotion.provenance import Signer

from .manifest import (
    FORMAT,
    MANIFEST,
    MOST_BYTES,
    SIGNATURE,
    VERSION,
    Manifest,
    Part,
    Signature,
    blob_name,
    blobs_part_name,
    broken,
    digest_of,
    is_ours,
    part_name,
    read,
    read_signature,
)

MOST_LINE = 128 << 20
_CHUNK = 1 << 20
_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_LISTED = msgspec.json.Decoder(tuple[str, _Digest | None, Annotated[int, msgspec.Meta(ge=0)]])


@dataclass(frozen=True, slots=True)
class ListedContent:
    """A blob in the archive's list; `sha256` is None if its bytes were missing at the source."""

    blob_id: str
    sha256: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """`ours`: our own key has signed it."""

    folder: Path
    manifest: Manifest
    signature: Signature | None
    ours: bool

    def lines(self, table: str) -> Iterator[list[bytes]]:
        """Read the lines of a table, some at a time."""
        (found,) = (one for one in self.manifest.tables if one.name == table)
        for number, part in enumerate(found.parts, start=1):
            yield from lines_of(self.folder, part_name(table, number), part)

    def blobs(self) -> Iterator[ListedContent]:
        """Read the list of blobs. Raises INVALID if it is damaged."""
        for number, part in enumerate(self.manifest.blobs.parts, start=1):
            name = blobs_part_name(number)
            for batch in lines_of(self.folder, name, part):
                yield from (_listed(name, line) for line in batch)

    def content(self, sha256: str) -> BinaryIO:
        """Open the content with this SHA-256."""
        return (self.folder / blob_name(sha256)).open("rb")

    def check(self) -> None:
        """Check that everything is there as it was written, and nothing else is. Raises INVALID."""
        expected = {MANIFEST, *([SIGNATURE] if self.signature is not None else [])}
        for name, part in self._parts():
            expected.add(name)
            _check_part(self.folder, name, part)
        contents: set[bytes] = set()
        for one in self.blobs():
            if one.sha256 is not None:
                _check_content(self.folder, one.sha256, one.size, known=bytes.fromhex(one.sha256) in contents)
                contents.add(bytes.fromhex(one.sha256))
        for name in _files(self.folder):
            digest = name.rpartition("/")[2]
            is_content = _is_digest(digest) and name == blob_name(digest) and bytes.fromhex(digest) in contents
            if name not in expected and not is_content:
                raise broken(name, "is not named in the manifest")

    def _parts(self) -> Iterator[tuple[str, Part]]:
        for table in self.manifest.tables:
            if table.rows != sum(part.rows for part in table.parts):
                raise broken(MANIFEST, f"counts the rows of {table.name} wrongly")
            yield from ((part_name(table.name, n), part) for n, part in enumerate(table.parts, start=1))
        yield from ((blobs_part_name(n), part) for n, part in enumerate(self.manifest.blobs.parts, start=1))


def opened(folder: Path, signer: Signer | None) -> Archive:
    """Open an archive, and find out whose it is. Raises INVALID if it is not an archive, or its signature does not
    match.
    """
    if not (folder / MANIFEST).is_file():
        raise invalid(f"{folder} has no archive: {MANIFEST} is missing. Perhaps the export was interrupted.")
    content = _small(folder / MANIFEST)
    # Read loosely first, so that a later format is named instead of its first unknown field.
    about = read(content, dict[str, msgspec.Raw], MANIFEST)
    if about.get("format") != msgspec.Raw(msgspec.json.encode(FORMAT)):
        raise invalid(f"{folder} has no mltrail archive: {MANIFEST} does not say format {FORMAT!r}.")
    if about.get("version") != msgspec.Raw(msgspec.json.encode(VERSION)):
        raise invalid(f"The archive's format version is not {VERSION}: use the mltrail that wrote it, or a newer one.")
    manifest = read(content, Manifest, MANIFEST)
    for table in manifest.tables:
        if not table.name.isidentifier() or not table.name.isascii():
            raise broken(MANIFEST, f"names a table {table.name!r}")
    path = folder / SIGNATURE
    signature = read_signature(_small(path)) if path.exists() else None
    return Archive(folder, manifest, signature, is_ours(content, signature, signer))


def lines_of(folder: Path, name: str, part: Part) -> Iterator[list[bytes]]:
    """Unpack a part, and give out its lines in batches of about a megabyte."""
    rest, unpacked, count = b"", 0, 0
    try:
        with gzip.open(folder / name, "rb") as file:
            while chunk := file.read(_CHUNK):
                unpacked += len(chunk)
                if unpacked > part.unpacked:
                    raise broken(name, "unpacks to more than the manifest says")
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > MOST_LINE:
                    raise broken(name, f"has a line of more than {MOST_LINE:,} bytes")
                count += len(lines)
                yield lines
    except (EOFError, gzip.BadGzipFile, zlib.error, FileNotFoundError) as error:
        raise broken(name, "can't be unpacked") from error
    if rest or count != part.rows or unpacked != part.unpacked:
        raise broken(name, "has less or more data than the manifest says")


def _check_part(folder: Path, name: str, part: Part) -> None:
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise broken(name, "is missing")
    if path.stat().st_size != part.bytes or digest_of(path) != part.sha256:
        raise broken(name, "was changed")


def _check_content(folder: Path, sha256: str, size: int, *, known: bool) -> None:
    name = blob_name(sha256)
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise broken(name, "is missing")
    if path.stat().st_size != size or (not known and digest_of(path) != sha256):
        raise broken(name, "has content that does not match its name")


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _listed(name: str, line: bytes) -> ListedContent:
    try:
        blob_id, sha256, size = _LISTED.decode(line)
    except (msgspec.MsgspecError, ValueError) as error:
        raise broken(name, f"has a line that is not one of it ({error})") from error
    if not is_blob_id(blob_id):
        raise broken(name, f"names a blob {blob_id[:80]!r}")
    return ListedContent(blob_id, sha256, size)


def _files(folder: Path) -> Iterable[str]:
    return (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _small(path: Path) -> bytes:
    if path.is_symlink() or path.stat().st_size > MOST_BYTES:
        raise broken(path.name, f"is a link, or larger than {MOST_BYTES:,} bytes")
    return path.read_bytes()
