"""The token of a candidate that outlives its job: what the job's own token proved, signed by this server.

It is valid for one candidate and for a limited time. It is not stored, and any web process can check it.
"""

import base64
import binascii
import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime

from .errors import MltrailError, unauthenticated
from .identity import Role, VerifiedClaims
from .ids import ProjectId
from .tokens import DETACHED_PREFIX

_PURPOSE = b"mltrail: token of a detached candidate"
"""Makes these signatures different from anything else that the server signs with its secret."""


def sign(claims: VerifiedClaims, candidate_iid: int, *, until_ms: int, secret: str) -> str:
    """Create the token of a candidate. `claims` are those of the job that detaches it."""
    content = dataclasses.asdict(dataclasses.replace(claims, expires_ms=until_ms)) | {"candidate_iid": candidate_iid}
    payload = _text(json.dumps(content, separators=(",", ":")).encode())
    return f"{DETACHED_PREFIX}{payload}.{_text(_signature(payload, secret))}"


def read(token: str, *, secret: str, now: int) -> tuple[VerifiedClaims, int]:
    """Return the job's claims and the candidate. Raises UNAUTHENTICATED for a token that this server has not signed, or
    that has expired.
    """
    payload, _, signature = token.removeprefix(DETACHED_PREFIX).partition(".")
    if not hmac.compare_digest(signature.encode(), _text(_signature(payload, secret)).encode()):
        raise _unknown()
    try:
        content = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        iid = int(content.pop("candidate_iid"))
        for name in ("job_project_id", "source_project_id"):
            content[name] = ProjectId(content[name])
        claims = VerifiedClaims(**content | {"user_role": Role(content["user_role"])})
    except (binascii.Error, ValueError, TypeError, KeyError) as error:  # signed by another version of this server
        raise _unknown() from error
    if now > claims.expires_ms:
        ended = datetime.fromtimestamp(claims.expires_ms / 1000, UTC)
        raise unauthenticated(
            f"The token of this detached run expired at {ended:%Y-%m-%d %H:%M} UTC. Next time ask for longer: "
            "`mltrail detach --for 168h`."
        )
    return claims, iid


def _unknown() -> MltrailError:
    return unauthenticated(
        "This token of a detached run was not made by this server, or its secret has changed since "
        "(MLTRAIL_SECRET_KEY). Detach the run again from a job."
    )


def _signature(payload: str, secret: str) -> bytes:
    key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)
    return hmac.digest(key, payload.encode(), hashlib.sha256)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
