"""Does a webhook come from GitLab? The secret that the operator has set on both sides proves it.

https://docs.gitlab.com/user/project/integrations/webhooks/#validate-requests-by-using-the-secret-token and, for
signatures, https://www.standardwebhooks.com
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence

SIGNING_PREFIX = "whsec_"
_TOLERANCE_SECONDS = 300


def is_genuine(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now_ms: int) -> bool:
    """Whether a delivery proves one of the secrets: a signing token (it begins with `whsec_`) by its signature of the
    raw body, any other secret in the header `X-Gitlab-Token`. Names of headers are case-insensitive.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    signing = [secret for secret in secrets if secret.startswith(SIGNING_PREFIX)]
    # All are compared, so that the time taken does not reveal which one is right.
    by_signature = [_signed(secret, lower, body, now_ms=now_ms) for secret in signing]
    return bears_token(secrets, headers) or any(by_signature)


def bears_token(secrets: Sequence[str], headers: Mapping[str, str]) -> bool:
    """Whether a delivery has a plain secret in its header, for which the body need not be read."""
    sent = {name.lower(): value for name, value in headers.items()}.get("x-gitlab-token", "").encode()
    plain = [secret for secret in secrets if not secret.startswith(SIGNING_PREFIX)]
    by_token = [hmac.compare_digest(secret.encode(), sent) for secret in plain]
    return any(by_token)


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """Sign as GitLab 19 does: `v1,` and the base64 of an HMAC-SHA256."""
    signed = hmac.new(key_of(secret), f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(signed).decode()


def key_of(secret: str) -> bytes:
    """Decode a signing token; empty if it is not one."""
    try:
        return base64.b64decode(secret.removeprefix(SIGNING_PREFIX), validate=True)
    except ValueError:
        return b""


def _signed(secret: str, headers: Mapping[str, str], body: bytes, *, now_ms: int) -> bool:
    delivery_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    expected = signature(secret, delivery_id, timestamp, body).encode()
    # One header may contain several, while a secret is being changed.
    matches = [hmac.compare_digest(expected, one.encode()) for one in headers.get("webhook-signature", "").split()]
    return any(matches) and abs(now_ms / 1000 - int(timestamp)) <= _TOLERANCE_SECONDS
