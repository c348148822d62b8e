"""What a backup consists of, as JSON.

`manifest.json` can be read by everybody: it names objects by neutral names, with the size and the SHA-256 of what is
stored, and its own digest. `contents.json` says what is in them; it is encrypted if the rest is.
"""

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature

from mltrail_server.domain.errors import invalid
from mltrail_server.services.promotion.provenance import Signer

FORMAT = "mltrail backup"
VERSION = 1


class StoredPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object of one backup: its name below the backup's folder, its size in bytes and its SHA-256, as stored."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`new_bytes` is what this backup has added to the destination; other sizes are of all that it needs. `damaged`
    counts the files that could not be saved.
    """

    format: str = FORMAT
    version: int = VERSION
    name: str
    created_ms: int
    ended_ms: int
    mltrail: str
    schema: str
    encrypted: bool
    rows: int
    files: int
    file_bytes: int
    new_files: int
    new_bytes: int
    damaged: int
    contents: StoredPart
    blobs: StoredPart
    parts: list[StoredPart]
    signature: dict[str, str] | None = None
    sha256: str = ""

    @property
    def objects(self) -> list[StoredPart]:
        return [self.contents, self.blobs, *self.parts]


class TablePart(msgspec.Struct, frozen=True):
    """`sha256` is that of the lines, before they are compressed."""

    name: str
    rows: int
    sha256: str


class Table(msgspec.Struct, frozen=True):
    """A table: its columns in the order of the values in a row, and the parts with its rows."""

    name: str
    columns: list[str]
    rows: int
    parts: list[TablePart]


class DamagedBlob(msgspec.Struct, frozen=True):
    """A file that could not be saved. `problem` is `missing` or `digest`: the bytes were not those that were stored."""

    project_id: int
    blob_id: str
    problem: str

    def line(self) -> str:
        what = "its content is missing" if self.problem == "missing" else "its content differs from what was stored"
        return f"not saved: project {self.project_id}, {self.blob_id}: {what}"


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """`names_key` is what encrypted blobs are named by, in hexadecimal; `secrets` are kept secrets by file name."""

    tables: list[Table]
    names_key: str | None
    damaged: list[DamagedBlob]
    secrets: dict[str, str]


def blob_name(sha256: str, names_key: str | None) -> str:
    """Return the name of an object that holds a blob.

    Encrypted ones are named by a keyed digest: a plain one would tell anyone who can list the destination whether it
    holds a file that they know.
    """
    if names_key is None:
        return f"blobs/{sha256[:2]}/{sha256}"
    keyed = hmac.new(bytes.fromhex(names_key), bytes.fromhex(sha256), hashlib.sha256).hexdigest()
    return f"blobs/{keyed[:2]}/{keyed}.age"


def signed(manifest: Manifest, signer: Signer | None) -> Manifest:
    """Sign a manifest with the server's key, if it has one, so that a backup can't be forged without it."""
    if signer is None:
        return manifest
    signature = signer.sign(_signed_text(msgspec.to_builtins(manifest)))
    return msgspec.structs.replace(
        manifest, signature={"keyid": signer.keyid, "sig": base64.b64encode(signature).decode()}
    )


def check_signature(manifest: Manifest, signer: Signer | None) -> str:
    """Return a warning about the signature; "" if this server's key has signed the manifest, or it has no key.

    Raises INVALID if the manifest names this server's key, but was not signed with it.
    """
    if signer is None:
        return ""
    signature = manifest.signature or {}
    if signature.get("keyid") != signer.keyid:
        return "The backup is not signed with the key in MLTRAIL_SIGNING_KEY: make sure that it is yours."
    try:
        text = _signed_text(msgspec.to_builtins(manifest))
        signer.key.public_key().verify(base64.b64decode(signature.get("sig", "")), text)
    except (InvalidSignature, ValueError) as error:
        raise invalid(f"The signature of the backup {manifest.name} is wrong: the backup was modified.") from error
    return ""


def _signed_text(plain: dict[str, Any]) -> bytes:
    return f"{FORMAT} {digest(plain)}".encode()


def encoded(manifest: Manifest) -> bytes:
    """Write a manifest, with its own digest."""
    plain = msgspec.to_builtins(manifest)
    return json.dumps({**plain, "sha256": digest(plain)}, indent=1, ensure_ascii=False).encode() + b"\n"


def decoded(content: bytes) -> Manifest:
    """Read a manifest. Raises INVALID if it is damaged, or of a newer version of the format."""
    try:
        plain = json.loads(content)
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise invalid("It is not a backup's manifest.")
        if plain.get("version") != VERSION:
            raise invalid("A newer version of mltrail wrote it: install that version, or a later one.")
        if plain.get("sha256") != digest(plain):
            raise invalid("It is damaged: its digest does not match.")
        return msgspec.convert(plain, Manifest)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise invalid("It is damaged: it can't be read.") from error


def digest(plain: dict[str, Any]) -> str:
    """Return the digest of a manifest; it covers everything but itself and the signature."""
    covered = {key: value for key, value in plain.items() if key not in {"sha256", "signature"}}
    return hashlib.sha256(json.dumps(covered, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
