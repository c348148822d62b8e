"""The provenance of promoted versions: written with the promotion, from what was verified, and never again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mltrail_server.domain import provenance
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.provenance import Built, Material, Subject
from mltrail_server.store import files, inputs, jobs, params, pipelines, promotions
from mltrail_server.store.candidates import Candidate
from mltrail_server.store.promotions import Promotion
from mltrail_server.store.versions import Version

from . import aliases, links, signing
from .deps import Scope
from .model_files import Held, by_name

_CONTEXT = "mlflow.data.context"


def made(
    connection: sa.Connection,
    scope: Scope,
    promotion: Promotion,
    candidate: Candidate,
    held: Held,
    *,
    evidence_iid: int,
    model: str,
    approvers: Sequence[str],
) -> str:
    """Write a version's statement, sign it where there is a key, and answer the envelope as JSON. `evidence_iid` is the
    number under which the part of the candidate that counts is stored.
    """
    told = provenance.statement(
        _built(connection, scope, promotion, candidate),
        [Subject(name, file.sha256 or "") for name, file in sorted(by_name(held.files, held.location).items())],
        materials=_materials(connection, scope, evidence_iid),
        params=dict(params.of(connection, scope.project_id, [evidence_iid]).get(evidence_iid, [])),
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
        },
    )
    content = provenance.payload(told)
    signer = signing.signer(scope.deps.settings)
    signatures = [(signer.keyid, signer.sign(provenance.signed_over(content)))] if signer is not None else []
    return json.dumps(provenance.envelope(content, signatures))


@dataclass(frozen=True, slots=True)
class Attested:
    """A version, what vouches for it, and the names of the files that it has now."""

    version: Version
    envelope: dict[str, Any]
    files: list[str]


def of(scope: Scope, name: str, version: str) -> Attested:
    """Fetch what vouches for a version, named by number, semver or alias. Raises NOT_FOUND for one that was registered
    by hand.
    """
    with scope.deps.db.read() as connection:
        found = aliases.version_named(connection, scope, name, version)
        told = promotions.attestation(connection, scope.project_id, found.model_id, found.number)
        held = files.below(connection, scope.project_id, found.location) if found.location else []
    if told is None:
        raise not_found(f"{name} {found.semver} was registered by hand and never promoted, so nothing vouches for it.")
    return Attested(found, json.loads(told), sorted(by_name(tuple(held), found.location)))


def statement_of(connection: sa.Connection, scope: Scope, version: Version) -> dict[str, Any] | None:
    """Read the statement of a version; None when it has none."""
    told = promotions.attestation(connection, scope.project_id, version.model_id, version.number)
    return None if told is None else provenance.opened(json.loads(told))


def _built(connection: sa.Connection, scope: Scope, promotion: Promotion, candidate: Candidate) -> Built:
    settings, path = scope.deps.settings, scope.actor.project_path
    pipeline = pipelines.get(connection, scope.project_id, promotion.trained_in)
    creator = next(
        one
        for one in jobs.tied_in(connection, scope.project_id, promotion.trained_in)
        if one.candidate_iid == candidate.iid
    )
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


def _materials(connection: sa.Connection, scope: Scope, candidate_iid: int) -> list[Material]:
    found = inputs.datasets_of(connection, scope.project_id, [candidate_iid]).get(candidate_iid, [])
    return [Material(one.name, one.digest, _uri(one.source), dict(one.tags).get(_CONTEXT, "")) for one in found]


def _uri(source: str) -> str:
    """Take the place out of a dataset's source, which MLflow keeps as JSON of many shapes."""
    try:
        told = json.loads(source)
    except (ValueError, RecursionError):
        return source
    if not isinstance(told, dict):
        return source
    return str(told.get("uri") or told.get("url") or told.get("path") or "")
