"""`mltrail verify`: a changed byte is found, with and without a server."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mltrail_ci import ed25519
from tests.component.conftest import Job

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\2" * 32)
FILES = {"MLmodel": b"flavors: {}", "data/weights.bin": bytes(range(256))}
TYPE = "application/vnd.in-toto+json"


def pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def envelope(*, key: Ed25519PrivateKey | None = KEY, version: str = "1.5.0") -> dict[str, Any]:
    promotion = {"model": "churn", "version": version, "number": 7, "promotedBy": "dana"}
    details = {
        "builder": {"id": "https://gitlab/-/jobs/1"},
        "byproducts": [{"name": "promotion", "annotations": promotion}],
    }
    subject = [{"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}} for name, data in FILES.items()]
    content = json.dumps({"subject": subject, "predicate": {"runDetails": details}}).encode()
    over = f"DSSEv1 {len(TYPE)} {TYPE} {len(content)} ".encode() + content
    signatures = [{"keyid": "k", "sig": base64.b64encode(key.sign(over)).decode()}] if key else []
    return {"payloadType": TYPE, "payload": base64.b64encode(content).decode(), "signatures": signatures}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A version beside its attestation and the public key, as somebody offline has it."""
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "attestation.json").write_text(json.dumps(envelope()))
    (tmp_path / "key.pem").write_text(pem(KEY))
    return tmp_path


def offline(job: Job, kept: Path, *more: str, uri: str = "models:/churn/1.5.0") -> tuple[int, str]:
    where = ("--files", str(kept / "model"), "--attestation", str(kept / "attestation.json"))
    code, output, error = job.run("verify", uri, *where, *(more or ("--key", str(kept / "key.pem"))))
    assert not error or code == 2
    return code, output or error


def test_untouched(job: Job, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLTRAIL_TOKEN", "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_URI", "CI_PROJECT_ID", "CI_PIPELINE_ID"):
        monkeypatch.delenv(name, raising=False)
    code, output = offline(job, kept)
    assert (code, output.splitlines()[0]) == (0, "churn 1.5.0: 2 files as promoted; signature: checked")
    assert output.splitlines()[1] == "built by https://gitlab/-/jobs/1, promoted by dana"
    assert job.server.asked == []


def test_a_changed_byte(job: Job, kept: Path) -> None:
    weights = bytearray(FILES["data/weights.bin"])
    weights[100] ^= 1
    (kept / "model/data/weights.bin").write_bytes(weights)
    assert offline(job, kept) == (1, "WRONG: churn 1.5.0: data/weights.bin has changed\n")


def test_a_file_more_or_less(job: Job, kept: Path) -> None:
    (kept / "model/MLmodel").rename(kept / "model/other")
    assert offline(job, kept) == (
        1,
        "WRONG: churn 1.5.0: MLmodel is missing\nWRONG: churn 1.5.0: other was not there when it was promoted\n",
    )


@pytest.mark.parametrize(
    ("attestation", "says"),
    [
        (envelope(key=OTHER), "no signature was made with this key"),
        (envelope(key=None), "it is not signed"),
        (envelope() | {"signatures": [{"sig": "%%"}, {}]}, "no signature was made with this key"),
        (envelope(version="1.4.0"), "the attestation is for churn 1.4.0, not for churn 1.5.0"),
    ],
)
def test_the_signature_and_the_version_are_checked(job: Job, kept: Path, attestation: Any, says: str) -> None:
    (kept / "attestation.json").write_text(json.dumps(attestation))
    code, output = offline(job, kept)
    assert code == 1
    assert says in output


def test_a_changed_statement(job: Job, kept: Path) -> None:
    attestation = envelope()
    content = base64.b64decode(attestation["payload"]).replace(b"dana", b"eve!")
    (kept / "attestation.json").write_text(json.dumps(attestation | {"payload": base64.b64encode(content).decode()}))
    assert "no signature was made with this key" in offline(job, kept)[1]


def test_without_a_key_it_says_that_nobody_looked(job: Job, kept: Path) -> None:
    where = ("--files", str(kept / "model"), "--attestation", str(kept / "attestation.json"))
    assert "signature: not checked; give --key" in job.run("verify", "models:/churn/1.5.0", *where)[1]


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("attestation.json", "[", "can't be read"),
        ("attestation.json", "{}", "can't be read (KeyError"),
        ("key.pem", "hello", "not a public key in PEM"),
        ("key.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "not an Ed25519 key"),
    ],
)
def test_a_file_that_can_not_be_read_is_an_error(job: Job, kept: Path, file: str, content: str, says: str) -> None:
    (kept / file).write_text(content)
    code, output = offline(job, kept)
    assert code == 2
    assert says in output


def test_by_the_server(job: Job, kept: Path) -> None:
    answer = {"version": "1.5.0", "number": 7, "folder": "promotions/9-1/artifacts", "envelope": envelope()}
    job.server.lay(f"GET {job.base}/models/churn/versions/champion/provenance", answer | {"files": ["MLmodel"]})
    saved = kept / "saved.json"
    code, output, _ = job.run("verify", "models:/churn@champion", "--save-attestation", str(saved))
    assert code == 1
    assert "data/weights.bin is missing" in output
    assert json.loads(saved.read_text()) == envelope()


class TestSignatures:
    @pytest.mark.parametrize("length", [0, 1, 1023])
    def test_a_library_made_is_good_and_any_changed_one_is_not(self, length: int) -> None:
        public = KEY.public_key().public_bytes_raw()
        message = b"x" * length
        signature = KEY.sign(message)
        assert ed25519.verify(public, message, signature)
        assert not ed25519.verify(public, message + b"y", signature)
        for place in (0, 31, 32, 63):
            changed = bytearray(signature)
            changed[place] ^= 1
            assert not ed25519.verify(public, message, bytes(changed))

    def test_rfc_8032_test_3(self) -> None:
        public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
        signature = bytes.fromhex(
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        )
        assert ed25519.verify(public, bytes.fromhex("af82"), signature)

    @pytest.mark.parametrize("public", [b"\xff" * 32, b"", b"\2" + b"\0" * 31])
    def test_what_is_no_key_signs_nothing(self, public: bytes) -> None:
        assert not ed25519.verify(public, b"m", KEY.sign(b"m"))

    def test_an_s_that_is_too_large_is_refused(self) -> None:
        signature = KEY.sign(b"m")
        larger = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
        forged = signature[:32] + larger.to_bytes(32, "little")
        assert not ed25519.verify(KEY.public_key().public_bytes_raw(), b"m", forged)
