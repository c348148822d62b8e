"""The provenance of promoted versions: written with the promotion from what was verified, and never changed.

It is signed with the operator's Ed25519 key, if there is one.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mltrail_server.domain import provenance
from mltrail_server.domain.errors import MltrailError, invalid, not_found
from mltrail_server.domain.prompts import TEXT_TAG
from mltrail_server.domain.provenance import Built, Material, Subject
from mltrail_server.services.context import links
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.files.model_files import ModelFiles, by_name
from mltrail_server.services.registry import aliases
from mltrail_server.settings import Settings
from mltrail_server.store.ci import jobs, pipelines
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.promotion import promotions
from mltrail_server.store.promotion.promotions import Promotion
from mltrail_server.store.registry import versions as version_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import inputs, params
from mltrail_server.store.tracking.candidates import Candidate

from .prompts import PromptMove

_PEM_BEGIN = "-----BEGIN"


@dataclass(frozen=True, slots=True)
class Signer:
    key: Ed25519PrivateKey

    @property
    def keyid(self) -> str:
        """The SHA-256 of the public key, as `openssl pkey -pubin -outform DER | sha256sum` prints it."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(der).hexdigest()

    def sign(self, content: bytes) -> bytes:
        return self.key.sign(content)


def signer(settings: Settings) -> Signer | None:
    """Load the key that the settings name, as PEM text or as a file of it. Raises INVALID if it is not such a key."""
    given = settings.signing_key
    if not given:
        return None
    try:
        # A variable in a CI system or a container often has escaped line ends.
        text = given.replace("\\n", "\n") if given.startswith(_PEM_BEGIN) else Path(given).read_text()
        key = load_pem_private_key(text.encode(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _mistake(str(error)) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _mistake("it is a key of another kind")
    return Signer(key)


def _mistake(why: str) -> MltrailError:
    return invalid(
        f"MLTRAIL_SIGNING_KEY must be an Ed25519 private key in PEM, or a file that holds one ({why}). Make one with: "
        "openssl genpkey -algorithm ed25519"
    )


def attest(  # noqa: PLR0913 - all that a statement tells
    tx: Transaction,
    scope: Scope,
    promotion: Promotion,
    candidate: Candidate,
    logged: ModelFiles,
    *,
    evidence_iid: int,
    model: str,
    approvers: Sequence[str],
    evaluation: str | None = None,
    prompts: Sequence[PromptMove] = (),
) -> str:
    """Write a version's statement, sign it if there is a key, and return the envelope as JSON. `evidence_iid` is the
    number under which the part of the candidate that counts is stored. `evaluation` is the one that the contract
    required, and `prompts` were promoted with the version.
    """
    more: dict[str, Any] = {"evaluation": evaluation} if evaluation else {}
    if prompts:
        more["prompts"] = _prompts(tx, prompts)
    statement = provenance.statement(
        _built(tx, scope, promotion, candidate),
        [Subject(name, file.sha256 or "") for name, file in sorted(by_name(logged.files, logged.location).items())],
        materials=_materials(tx, evidence_iid),
        params=dict(params.of(tx, [evidence_iid]).get(evidence_iid, [])),
        promotion={
            "model": model,
            "version": promotion.semver,
            "number": promotion.number,
            "run": candidate.eid,
            "promotedBy": scope.actor.user_name,
            "promotedFor": links.pipeline(scope.deps.settings, scope.actor.project_path, promotion.pipeline_id),
            "mergeRequest": promotion.merge_request_iid,
            "approvedBy": list(approvers),
            "reason": f"{promotion.bump}: {promotion.reason}",
            **more,
        },
    )
    content = provenance.payload(statement)
    key = signer(scope.deps.settings)
    signatures = [(key.keyid, key.sign(provenance.signed_over(content)))] if key is not None else []
    return json.dumps(provenance.envelope(content, signatures))


@dataclass(frozen=True, slots=True)
class AttestedVersion:
    """A version, the envelope that vouches for it, and the names of the files that it has now."""

    version: Version
    envelope: dict[str, Any]
    files: list[str]


def of_version(scope: Scope, name: str, version: str) -> AttestedVersion:
    """Fetch a version named by number, semver or alias, with what vouches for it. Raises NOT_FOUND if it was registered
    by hand.
    """
    with scope.project.read() as tx:
        found = aliases.version_named(tx, name, version)
        attestation = promotions.attestation(tx, found.model_id, found.number)
        stored = files.below(tx, found.location) if found.location else []
    if attestation is None:
        made = "registered by hand" if found.origin_id is None else "imported"
        raise not_found(f"{name} {found.semver} was {made} and never promoted, so nothing vouches for it.")
    return AttestedVersion(found, json.loads(attestation), sorted(by_name(tuple(stored), found.location)))


def statement_of(tx: Transaction, version: Version) -> dict[str, Any] | None:
    """Read the statement of a version; None if it has none."""
    attestation = promotions.attestation(tx, version.model_id, version.number)
    return None if attestation is None else provenance.opened(json.loads(attestation))


def _built(tx: Transaction, scope: Scope, promotion: Promotion, candidate: Candidate) -> Built:
    settings, path = scope.deps.settings, scope.actor.project_path
    pipeline = pipelines.get(tx, promotion.trained_in)
    creator = next(job for job in jobs.tied_in(tx, promotion.trained_in) if job.candidate_iid == candidate.iid)
    return Built(
        repository=f"{settings.gitlab_url.rstrip('/')}/{path}",
        sha=pipeline.sha if pipeline else "",
        ref=pipeline.ref if pipeline else "",
        source=pipeline.source if pipeline else "",
        job_url=creator.web_url or f"{settings.gitlab_url.rstrip('/')}/{path}/-/jobs/{creator.job_id}",
        job_name=creator.name or "",
        pipeline_url=links.pipeline(settings, path, promotion.trained_in),
        started_ms=candidate.started_ms,
        ended_ms=candidate.ended_ms,
    )


def _materials(tx: Transaction, candidate_iid: int) -> list[Material]:
    datasets = inputs.datasets_of(tx, [candidate_iid]).get(candidate_iid, [])
    return [Material(one.name, one.digest, _uri(one.source), one.context) for one in datasets]


def _prompts(tx: Transaction, moves: Sequence[PromptMove]) -> list[dict[str, Any]]:
    """Name the prompts that were promoted, with the digests of their texts."""
    texts = version_store.tags_of_names(tx, [(one.name, one.now) for one in moves], [TEXT_TAG])
    return [
        {
            "name": one.name,
            "version": one.now,
            "alias": one.alias,
            "sha256": hashlib.sha256(texts.get((one.name, one.now), {}).get(TEXT_TAG, "").encode()).hexdigest(),
        }
        for one in moves
    ]


def _uri(source: str) -> str:
    """Read the place of a dataset from its source, which MLflow stores as JSON of many shapes."""
    try:
        decoded = json.loads(source)
    except (ValueError, RecursionError):
        return source
    if not isinstance(decoded, dict):
        return source
    return str(decoded.get("uri") or decoded.get("url") or decoded.get("path") or "")
