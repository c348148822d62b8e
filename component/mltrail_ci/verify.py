"""`mltrail verify models:/churn/1.5.0`: are these the files that were promoted, and who says so?

With --attestation and --files it needs no server: keep the attestation with the model.
"""

import base64
import hashlib
import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import ed25519, errors
from .api import Api
from .errors import usage
from .outputs import console, files, text

_URI = re.compile(r"models:/(?P<model>[^/@]+)(?:/|@)(?P<version>[^/]+)")
_PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Attested(NamedTuple):
    """The content of the envelope. `files` maps names to SHA-256."""

    statement: dict[str, Any]
    files: dict[str, str]
    content: bytes
    signatures: list[dict[str, str]]


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("uri", metavar="URI", help="models:/NAME/VERSION or models:/NAME@ALIAS")
    parser.add_argument("--key", metavar="FILE", help="public key in PEM; without it the signature is not checked")
    parser.add_argument("--files", metavar="DIR", help="check the files in this folder instead of the server's")
    parser.add_argument("--attestation", metavar="FILE", help="read the attestation from this file")
    parser.add_argument(
        "--save-attestation", metavar="FILE", help="write the attestation to this file, for offline checks"
    )


def is_offline(options: Namespace) -> bool:
    """Whether everything is given, so that neither server nor token is needed."""
    return bool(getattr(options, "attestation", None) and getattr(options, "files", None))


def run(api: Api | None, options: Namespace) -> int:
    match = _URI.fullmatch(options.uri)
    if match is None:
        raise usage(f"{options.uri!r} is not a model URI; it should look like models:/churn/1.5.0")
    provenance = _provenance(api, options, match["model"], match["version"])
    attested = opened(provenance.get("envelope") or {})
    files.write(options.save_attestation, json.dumps(provenance["envelope"], indent=2) + "\n")
    problems = wrong_version(attested, match["model"], match["version"], provenance.get("version"))
    problems += wrong_signature(attested, options.key)
    problems += wrong_files(attested, _digests(api, options, provenance, attested))
    _print(options, attested, problems)
    return errors.NO if problems else errors.DONE


def opened(envelope: Mapping[str, Any]) -> Attested:
    try:
        content = base64.b64decode(envelope["payload"], validate=True)
        statement = json.loads(content)
        files = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
        right = envelope["payloadType"] == _PAYLOAD_TYPE
        predicate = statement["predicate"]["runDetails"]
        right = right and isinstance(predicate.get("builder", {}), dict)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise usage(f"The attestation can't be read ({type(error).__name__}: {error}).") from error
    if not right:
        raise usage(f"The attestation has an unknown type: {envelope['payloadType']!r}")
    return Attested(statement, files, content, list(envelope.get("signatures") or []))


def wrong_version(attested: Attested, model: str, version: str, resolved: str | None) -> list[str]:
    """An attestation of another version proves nothing here."""
    said = _promotion(attested)
    wanted = resolved or version
    if said.get("model") != model or wanted not in (said.get("version"), str(said.get("number"))):
        return [f"the attestation is for {said.get('model')} {said.get('version')}, not for {model} {wanted}"]
    return []


def wrong_signature(attested: Attested, key_file: str | None) -> list[str]:
    if not key_file:
        return []
    try:
        public = ed25519.public_key(Path(key_file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise usage(f"The key {key_file} can't be used: {error}") from error
    if not attested.signatures:
        return ["it is not signed"]
    kind = _PAYLOAD_TYPE.encode()
    length = str(len(attested.content)).encode()
    over = b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, length, attested.content])
    if any(ed25519.verify(public, over, _decoded(one.get("sig"))) for one in attested.signatures):
        return []
    return [f"no signature was made with this key ({ed25519.keyid(public)[:16]}…)"]


def wrong_files(attested: Attested, found: Iterator[tuple[str, str | None]]) -> list[str]:
    """Compare digests. Additional and missing files are as wrong as changed ones."""
    seen = dict(found)
    problems = [f"{name} is missing" for name in sorted(attested.files) if seen.get(name) is None]
    for name, digest in sorted(seen.items()):
        if digest is not None and name not in attested.files:
            problems.append(f"{name} was not there when it was promoted")
        elif digest is not None and digest != attested.files[name]:
            problems.append(f"{name} has changed")
    return problems


def _provenance(api: Api | None, options: Namespace, model: str, version: str) -> dict[str, Any]:
    if options.attestation:
        try:
            return {"envelope": json.loads(Path(options.attestation).read_text(encoding="utf-8"))}
        except (OSError, ValueError) as error:
            raise usage(f"The attestation {options.attestation} can't be read: {error}") from error
    return _online(api).provenance(model, version)


def _digests(
    api: Api | None, options: Namespace, provenance: Mapping[str, Any], attested: Attested
) -> Iterator[tuple[str, str | None]]:
    if options.files:
        root = Path(options.files)
        for path in sorted(root.rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), _digest(path)
        return
    kept = provenance if "folder" in provenance else _online(api).provenance(*_named(attested))
    for name in sorted({*attested.files, *kept["files"]}):
        yield name, _online(api).file_digest(f"{kept['folder']}/{name}")


def _named(attested: Attested) -> tuple[str, str]:
    said = _promotion(attested)
    return str(said.get("model")), str(said.get("version"))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise usage(f"Can't read {path}: {error.strerror}.") from error


def _online(api: Api | None) -> Api:
    if api is None:
        raise usage("Without a server, give both --attestation and --files.")
    return api


def _promotion(attested: Attested) -> dict[str, Any]:
    try:
        byproducts = attested.statement["predicate"]["runDetails"]["byproducts"]
        found: dict[str, Any] = next(one["annotations"] for one in byproducts if one["name"] == "promotion")
    except (KeyError, TypeError, StopIteration):
        return {}
    return found


def _decoded(signature: object) -> bytes:
    try:
        return base64.b64decode(str(signature), validate=True)
    except ValueError:
        return b""


def _print(options: Namespace, attested: Attested, problems: list[str]) -> None:
    said = _promotion(attested)
    details = attested.statement.get("predicate", {}).get("runDetails", {})
    builder = details.get("builder", {}).get("id")
    signed = "checked" if options.key else "not checked; give --key" if attested.signatures else "none"
    if options.json:
        console.write(
            json.dumps(
                {"problems": problems, "signature": signed, "files": len(attested.files), "promotion": said}, indent=2
            )
        )
        return
    name = f"{said.get('model')} {said.get('version')}"
    for problem in problems:
        console.write(text.clean(f"WRONG: {name}: {problem}"))
    if not problems:
        count = len(attested.files)
        console.write(text.clean(f"{name}: {count} file{'s' if count != 1 else ''} as promoted; signature: {signed}"))
        console.write(text.clean(f"built by {builder}, promoted by {said.get('promotedBy')}"))
