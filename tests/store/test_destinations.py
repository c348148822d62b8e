"""The two places that backups are kept in, by the same tests, and what they are encrypted with."""

import errno
import gzip
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from mltrail_server.artifacts import s3
from mltrail_server.artifacts.destination import Destination, Stored
from mltrail_server.artifacts.destinations import open_destination
from mltrail_server.artifacts.encryption import Decryption, Encryption
from mltrail_server.domain.errors import Code, MltrailError
from tests.s3 import Bucket

BACKENDS = ("sqlite",)
MB = 1 << 20


@pytest.fixture(params=["folder", "s3"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param == "folder":
        yield open_destination(str(tmp_path / "backups"))
    else:
        bucket: Bucket = request.getfixturevalue("bucket")
        yield open_destination(bucket.url, endpoint_url=bucket.endpoint_url)


def put(destination: Destination, name: str, content: bytes) -> None:
    with destination.create(name) as sink:
        for start in range(0, len(content), MB):
            sink.write(content[start : start + MB])


def get(destination: Destination, name: str) -> bytes:
    with destination.open(name) as opened:
        return opened.read()


def break_off(destination: Destination, name: str) -> None:
    with destination.create(name) as sink:
        sink.write(bytes(s3.PART + 1))
        raise KeyError


def test_objects_are_listed_by_name_read_and_deleted(destination: Destination) -> None:
    for name in ("blobs/ab/2", "blobs/ab/1", "blobs/a", "backups/x/manifest.json"):
        put(destination, name, name.encode())
    listed = list(destination.list("blobs/"))
    assert listed == [Stored("blobs/a", 7), Stored("blobs/ab/1", 10), Stored("blobs/ab/2", 10)]
    assert get(destination, "blobs/ab/1") == b"blobs/ab/1"
    for name in ("blobs/ab/1", "blobs/ab/1", "blobs/none"):
        destination.delete(name)
    assert [one.name for one in destination.list("blobs/")] == ["blobs/a", "blobs/ab/2"]
    assert list(destination.list("none/")) == []
    with pytest.raises(MltrailError) as caught:
        get(destination, "blobs/ab/1")
    assert caught.value.code is Code.NOT_FOUND
    destination.settle()


@pytest.mark.parametrize("size", [0, s3.PART, s3.PART + 1])
def test_large_objects_come_back(destination: Destination, size: int) -> None:
    content = os.urandom(size)
    put(destination, "large", content)
    assert get(destination, "large") == content


def test_what_breaks_off_is_not_there(destination: Destination) -> None:
    put(destination, "blobs/1", b"before")
    with pytest.raises(KeyError):
        break_off(destination, "blobs/1")
    assert get(destination, "blobs/1") == b"before"
    destination.drop_unfinished()
    assert list(destination.list("blobs/")) == [Stored("blobs/1", 6)]


def test_only_one_changes_it_at_a_time(destination: Destination) -> None:
    with destination.lock() as lock:
        lock.check()
        with pytest.raises(MltrailError) as caught, destination.lock():
            pass
        assert caught.value.code is Code.CONFLICT
        lock.check()
    with destination.lock():
        pass


def test_a_killed_writer_locks_a_bucket_for_a_while_only(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    destination = open_destination(bucket.url, endpoint_url=bucket.endpoint_url)
    bucket.api.put_object(Bucket=bucket.name, Key="some/prefix/locks/of-the-dead", Body=b"")
    with pytest.raises(MltrailError), destination.lock():
        pass
    monkeypatch.setattr("mltrail_server.artifacts.s3_destination._DEAD_SECONDS", -1)
    with destination.lock() as lock:
        assert len(bucket.keys()) == 1
        bucket.api.delete_object(Bucket=bucket.name, Key=bucket.keys()[0])  # another one takes us for dead
        with pytest.raises(MltrailError, match="was paused"):
            lock.check()


def test_unfinished_uploads_are_dropped(bucket: Bucket) -> None:
    destination = open_destination(bucket.url, endpoint_url=bucket.endpoint_url)
    bucket.api.create_multipart_upload(Bucket=bucket.name, Key="some/prefix/blobs/1")
    destination.drop_unfinished()
    assert bucket.uploads() == []


@pytest.mark.parametrize("address", ["", "s3://", "s3:bucket", "s3:/bucket/prefix", "gs://bucket/prefix"])
def test_other_places_are_refused(address: str) -> None:
    with pytest.raises(MltrailError):
        open_destination(address)


def test_a_bucket_that_is_missing_is_told(bucket: Bucket) -> None:
    destination = open_destination("s3://none-of-ours/x", endpoint_url=bucket.endpoint_url)
    for call in (lambda: put(destination, "1", b""), lambda: list(destination.list("a/")), destination.drop_unfinished):
        with pytest.raises(MltrailError, match="bucket for backups does not exist"):
            call()


def test_missing_credentials_are_told(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    destination = open_destination(bucket.url, endpoint_url=bucket.endpoint_url)
    with pytest.raises(MltrailError, match="no credentials for S3"):
        put(destination, "1", b"")


def identity_in(folder: Path, name: str) -> tuple[str, Path]:
    """Make a key pair, as age-keygen does: the public key, and a file with the private one."""
    key = pyrage.x25519.Identity.generate()
    path = folder / name
    path.write_text(f"# created: today\n# public key: {key.to_public()}\n{key}\n")
    return str(key.to_public()), path


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_001])
def test_either_recipient_can_decrypt(tmp_path: Path, size: int) -> None:
    (one, first), (other, second) = identity_in(tmp_path, "1"), identity_in(tmp_path, "2")
    content = os.urandom(size)
    sealed = io.BytesIO()
    Encryption([one, other]).encrypt(io.BytesIO(content), sealed)
    for identity in (first, second):
        with Decryption(identity).opened(io.BytesIO(sealed.getvalue())) as opened:
            assert opened.read() == content
    assert (
        pyrage.decrypt(sealed.getvalue(), [pyrage.x25519.Identity.from_str(first.read_text().split("\n")[2])])
        == content
    )


def test_others_can_not_and_damage_is_found(tmp_path: Path) -> None:
    (one, first), (_, stranger) = identity_in(tmp_path, "1"), identity_in(tmp_path, "2")
    sealed = io.BytesIO()
    Encryption([one]).encrypt(io.BytesIO(bytes(200_000)), sealed)
    with (
        pytest.raises(MltrailError, match="another key"),
        Decryption(stranger).opened(io.BytesIO(sealed.getvalue())) as opened,
    ):
        opened.read()
    flipped = bytearray(sealed.getvalue())
    flipped[-9] ^= 1
    for damaged in (sealed.getvalue()[:-1], bytes(flipped), b"something else"):
        with pytest.raises(MltrailError, match="damaged"), Decryption(first).opened(io.BytesIO(damaged)) as opened:
            opened.read()
    with Decryption(first).opened(io.BytesIO(sealed.getvalue())) as opened:
        assert opened.read(1) == b"\0"  # who stops reading leaves no thread that hangs


def test_errors_of_what_is_read_come_through(tmp_path: Path) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise MltrailError(Code.NOT_FOUND, "It is gone.")

    one, _ = identity_in(tmp_path, "1")
    with pytest.raises(MltrailError, match="It is gone"):
        Encryption([one]).encrypt(Broken(), io.BytesIO())


@pytest.mark.parametrize(
    "text", ["", "AGE-SECRET-KEY-1", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "# only a comment\n"]
)
def test_files_without_a_key_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "identity"
    path.write_text(text)
    with pytest.raises(MltrailError, match="MLTRAIL_BACKUP_IDENTITY must name a file"):
        Decryption(path)
    with pytest.raises(MltrailError, match="can't be read"):
        Decryption(tmp_path / "none")


@pytest.mark.parametrize("recipient", ["age1abc", "ssh-ed25519 AAAA", "AGE-SECRET-KEY-1"])
def test_what_is_no_public_key_is_refused(recipient: str, tmp_path: Path) -> None:
    good, _ = identity_in(tmp_path, "1")
    with pytest.raises(MltrailError, match="Recipient 2") as caught:
        Encryption([good, recipient])
    assert recipient not in caught.value.message


def test_a_disk_that_fails_is_told(tmp_path: Path) -> None:
    destination = open_destination(str(tmp_path / "file"))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(MltrailError, match="can't be read or written"):
        put(destination, "blobs/1", b"")
    whole = open_destination(str(tmp_path / "backups"))
    put(whole, "blobs/1", b"1")
    with pytest.raises(MltrailError, match="Input/output error"):
        fail_with(whole, OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(gzip.BadGzipFile):  # says that the content is damaged, not the disk
        fail_with(whole, gzip.BadGzipFile("of the reader"))


def fail_with(destination: Destination, error: OSError) -> None:
    with destination.open("blobs/1"):
        raise error
