"""What a version was made from and by whom, as an in-toto statement with SLSA provenance in a DSSE envelope.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://slsa.dev/spec/v1.0/provenance and
https://github.com/secure-systems-lab/dsse/blob/master/envelope.md
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://slsa.dev/provenance/v1#gitlab-ci-job"


@dataclass(frozen=True, slots=True)
class Subject:
    """A file of the version: its name in the version's folder and its SHA-256 in hexadecimal."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Material:
    """A dataset that was used. `digest` is MLflow's, not a hash of a known kind."""

    name: str
    digest: str
    uri: str
    use: str


@dataclass(frozen=True, slots=True)
class Built:
    """The job that made the candidate, from its verified token and from GitLab. Times are in milliseconds."""

    repository: str  # URL of the project in GitLab
    sha: str
    ref: str
    source: str  # why the pipeline ran, in GitLab's words
    job_url: str
    job_name: str
    pipeline_url: str
    started_ms: int
    ended_ms: int | None


def statement(
    built: Built,
    subjects: Sequence[Subject],
    *,
    materials: Sequence[Material],
    params: Mapping[str, str],
    promotion: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the statement. `promotion` is what else we know: version, alias, user, approvers, merge request."""
    dependencies: list[dict[str, Any]] = [
        {"uri": f"git+{built.repository}@{built.ref}", "digest": {"gitCommit": built.sha}},
        *(
            {"name": one.name, "uri": one.uri, "digest": {"mlflow": one.digest}, "annotations": {"use": one.use}}
            for one in materials
        ),
    ]
    metadata = {"invocationId": built.job_url, "startedOn": _time(built.started_ms)}
    if built.ended_ms is not None:
        metadata["finishedOn"] = _time(built.ended_ms)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": one.name, "digest": {"sha256": one.sha256}} for one in subjects],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "repository": built.repository,
                    "ref": built.ref,
                    "job": built.job_name,
                    "parameters": dict(params),
                },
                "internalParameters": {"pipeline": built.pipeline_url, "pipelineSource": built.source},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {
                "builder": {"id": built.job_url},
                "metadata": metadata,
                "byproducts": [{"name": "promotion", "annotations": dict(promotion)}],
            },
        },
    }


def payload(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def signed_over(content: bytes, *, kind: str = PAYLOAD_TYPE) -> bytes:
    """Return the bytes that a signature covers: DSSE's pre-authentication encoding."""
    name = kind.encode()
    return b" ".join([b"DSSEv1", str(len(name)).encode(), name, str(len(content)).encode(), content])


def envelope(content: bytes, signatures: Sequence[tuple[str, bytes]]) -> dict[str, Any]:
    """Put a payload in its envelope. Each signature comes with the id of its key; there may be none."""
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(content).decode(),
        "signatures": [{"keyid": keyid, "sig": base64.b64encode(sig).decode()} for keyid, sig in signatures],
    }


def opened(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """Read the statement in one of our envelopes."""
    found: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return found


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
