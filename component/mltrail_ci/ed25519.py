"""Check Ed25519 signatures without a library: RFC 8032, 5.1.7.

Checking involves no secrets, so plain integers will do; it takes a few milliseconds.
"""

import base64
import hashlib

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT = pow(2, (_P - 1) // 4, _P)
_DER = bytes.fromhex("302a300506032b6570032100")

_Point = tuple[int, int, int, int]  # in extended homogeneous coordinates


class KeyTextError(ValueError):
    """The text is not an Ed25519 public key."""


def public_key(pem: str) -> bytes:
    """Read a public key in PEM, as `openssl pkey -pubout` writes it."""
    lines = [line.strip() for line in pem.strip().splitlines()]
    if len(lines) < 3 or lines[0] != "-----BEGIN PUBLIC KEY-----" or lines[-1] != "-----END PUBLIC KEY-----":
        raise KeyTextError("it is not a public key in PEM")
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError as error:
        raise KeyTextError("its content is not base64") from error
    if len(der) != len(_DER) + 32 or not der.startswith(_DER):
        raise KeyTextError("it is not an Ed25519 key")
    return der[len(_DER) :]


def keyid(public: bytes) -> str:
    """Name a key as mltrail does: the SHA-256 of its DER form."""
    return hashlib.sha256(_DER + public).hexdigest()


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = _decompressed(public), _decompressed(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= _L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _L
    return _equal(_times(s, _BASE), _sum(r, _times(h, a)))


def _sum(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: _Point) -> _Point:
    result = (0, 1, 1, 0)
    while number:
        if number & 1:
            result = _sum(result, point)
        point = _sum(point, point)
        number >>= 1
    return result


def _equal(one: _Point, other: _Point) -> bool:
    return (one[0] * other[2] - other[0] * one[2]) % _P == 0 and (one[1] * other[2] - other[1] * one[2]) % _P == 0


def _decompressed(text: bytes) -> _Point | None:
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    x2 = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(x2, (_P + 3) // 8, _P)
    if (x * x - x2) % _P != 0:
        x = x * _ROOT % _P
    if (x * x - x2) % _P != 0 or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_BASE = _decompressed(_BASE_Y.to_bytes(32, "little")) or (0, 1, 1, 0)
