"""The manifest of an archive: what is in it, and the signature that vouches for all of it.

`manifest.json` names each part with its SHA-256, and the parts name each file with its own. So the signature over the
manifest, in `signature.json`, is one over everything. See docs/reference/archive.md.
"""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature

from mltrail_server.domain import provenance as envelopes
from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.services.promotion.provenance import Signer

FORMAT = "mltrail-archive"
VERSION = 1
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
PAYLOAD_TYPE = "application/vnd.mltrail.archive+json"
"""A part of what is signed, so that no signature of something else, such as a provenance, fits an archive."""

MOST_BYTES = 64 << 20
_DIGEST = r"^[0-9a-f]{64}\Z"
T = TypeVar("T")


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rows, or of the list of blobs: `bytes` on the disk, `unpacked` as lines."""

    rows: int
    bytes: int
    unpacked: int
    sha256: str


class TableParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table's rows. The part with the number n, from 1, is `tables/<name>-<n>.jsonl.gz`."""

    name: str
    columns: list[str]
    rows: int
    parts: list[Part]


class Blobs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bytes of files. A line of the list is the id of a blob, its SHA-256 (null: it was missing), and its size; the
    part with the number n is `blobs-<n>.jsonl.gz`. Each content is once in `blobs/`, however many blobs have it.
    """

    count: int
    bytes: int
    missing: int
    contents: int
    parts: list[Part]


class Project(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The project that was exported: its ID and its path in GitLab."""

    id: int
    path: str


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The server that wrote it. An empty `gitlab_url` is local mode."""

    external_url: str
    gitlab_url: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in an archive. `schema` is the revision of its tables, `mltrail` the version that wrote it, `created_ms`
    the moment that all rows are of, and `counts` how many things there are, by their names in a reader's words.
    """

    format: str
    version: int
    schema: str
    mltrail: str
    created_ms: int
    project: Project
    server: Server
    counts: dict[str, int]
    tables: list[TableParts]
    blobs: Blobs


@dataclass(frozen=True, slots=True)
class Signature:
    """Which key has signed: the SHA-256 of the public key, see `provenance.Signer`."""

    keyid: str
    sig: bytes


def written(manifest: Manifest) -> bytes:
    """Return the text of `manifest.json`."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def signed(content: bytes, signer: Signer) -> bytes:
    """Sign a manifest, and return the text of `signature.json`."""
    sig = signer.sign(signed_over(content))
    return json.dumps({"keyid": signer.keyid, "sig": base64.b64encode(sig).decode()}, indent=1).encode()


def signed_over(content: bytes) -> bytes:
    """Return the bytes that are signed: a prefix with the type of what is signed, and the manifest."""
    return envelopes.signed_over(content, kind=PAYLOAD_TYPE)


def read(content: bytes, known: type[T], name: str) -> T:
    """Decode one of the two files strictly. Raises INVALID."""
    try:
        return msgspec.json.decode(content, type=known)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise invalid(f"{name} is not in the format of an archive: {error}.") from error


def read_signature(content: bytes) -> Signature:
    """Read `signature.json`. Raises INVALID if it is something else."""
    found = read(content, dict[str, str], SIGNATURE)
    try:
        return Signature(found["keyid"], base64.b64decode(found["sig"], validate=True))
    except (KeyError, ValueError) as error:
        raise invalid(f"{SIGNATURE} contains no signature.") from error


def is_ours(content: bytes, signature: Signature | None, signer: Signer | None) -> bool:
    """Return whether our own key has signed a manifest; False if there is no signature, or one of another key.

    Raises INVALID for a signature that claims to be our key's, and is not.
    """
    if signature is None or signer is None or signature.keyid != signer.keyid:
        return False
    try:
        signer.key.public_key().verify(signature.sig, signed_over(content))
    except InvalidSignature as error:
        raise invalid(
            "The signature does not match the manifest: the archive was changed after it was signed, or the "
            f"signature belongs to another archive. To import it anyway, without its evidence, remove {SIGNATURE}."
        ) from error
    return True


def part_name(table: str, number: int) -> str:
    return f"tables/{table}-{number}.jsonl.gz"


def blobs_part_name(number: int) -> str:
    return f"blobs-{number}.jsonl.gz"


def blob_name(sha256: str) -> str:
    return f"blobs/{sha256[:2]}/{sha256}"


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def broken(name: str, why: str) -> MltrailError:
    """Return the error for a file of the archive that is damaged. `why` continues a sentence that begins
    with its name.
    """
    return invalid(f"The archive is damaged: {name} {why}. Nothing was imported; export or copy it again.")


def as_json(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(manifest)
    return found
