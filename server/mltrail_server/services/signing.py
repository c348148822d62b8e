"""Sign with the operator's Ed25519 key, where there is one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from mltrail_server.domain.errors import MltrailError, invalid
from mltrail_server.settings import Settings

_BEGIN = "-----BEGIN"


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
    """Load the key that the settings name, as PEM text or as a file of it. Raises INVALID for what is no such key."""
    told = settings.signing_key
    if not told:
        return None
    try:
        # A variable in a CI system or a container often has its line ends escaped.
        text = told.replace("\\n", "\n") if told.startswith(_BEGIN) else Path(told).read_text()
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
