"""The store in S3: memory that does not grow with a file, and what happens when S3 fails."""

import hashlib
import io
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody

from mltrail_server.artifacts import s3, s3_reading
from mltrail_server.artifacts.s3 import S3Files
from mltrail_server.domain.errors import Code, MltrailError
from mltrail_server.domain.ids import ProjectId
from tests.s3 import Bucket

ONE = ProjectId(1)
MB = 1 << 20


@pytest.fixture
def store(bucket: Bucket) -> S3Files:
    return S3Files(bucket.name, "some/prefix", endpoint_url=bucket.endpoint_url)


class Endless(io.RawIOBase):
    """A body of so many bytes that are nowhere kept, in pieces as a connection gives them."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        given = bytes(min(self.left, size, 100_000))
        self.left -= len(given)
        self.digest.update(given)
        return given


@pytest.mark.parametrize("size", [0, 1, s3.PART - 1, s3.PART, s3.PART + 1, 3 * s3.PART])
def test_what_is_put_is_got_whatever_its_size(store: S3Files, bucket: Bucket, size: int) -> None:
    body = Endless(size)
    stored = store.put(ONE, body)  # type: ignore[arg-type] # it reads as one
    assert (stored.size, stored.sha256) == (size, body.digest.hexdigest())
    assert b"".join(store.get(ONE, stored.blob_id, length=size)) == bytes(size)
    assert [(one.blob_id, one.size) for one in store.stored(ONE)] == [(stored.blob_id, size)]
    assert bucket.keys() == [f"some/prefix/1/{stored.blob_id}"]
    assert store.projects() == [ONE]


def test_memory_does_not_grow_with_the_file(store: S3Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in for S3 runs in this process, so what counts is what is held when a part has been read."""
    monkeypatch.setattr(s3, "PART", 5 * MB)
    held: list[int] = []

    class Watched(Endless):
        def read(self, size: int = -1) -> bytes:
            held.append(size)
            return super().read(size)

    store.put(ONE, Watched(12 * MB))  # type: ignore[arg-type] # it reads as one
    assert max(held) <= 5 * MB, "no more than a part is asked for at once"
    stored = store.put(ONE, Endless(24 * MB))  # type: ignore[arg-type] # as above
    tracemalloc.start()
    largest = max(len(chunk) for chunk in store.get(ONE, stored.blob_id, length=stored.size))
    tracemalloc.stop()
    assert largest <= MB


@pytest.mark.parametrize("size", [0, 80_000 * MB, 80_000 * MB + 1, 200_000 * MB, 5_000_000 * MB])
def test_parts_grow_with_files_that_would_have_too_many(size: int) -> None:
    part = s3.part_size(size)
    assert part >= s3.PART
    assert size <= part * s3.MOST_PARTS < size + s3.PART * s3.MOST_PARTS + s3.MOST_PARTS


def test_an_upload_that_breaks_off_leaves_nothing(store: S3Files, bucket: Bucket) -> None:
    class Breaks(Endless):
        def read(self, size: int = -1) -> bytes:
            if self.left < 2 * MB:
                raise ConnectionError
            return super().read(size)

    with pytest.raises(ConnectionError):
        store.put(ONE, Breaks(12 * MB))  # type: ignore[arg-type] # it reads as one
    with pytest.raises(MltrailError, match="larger than"):
        store.put(ONE, Endless(12 * MB), limit=10 * MB)  # type: ignore[arg-type] # as above
    assert (bucket.keys(), bucket.uploads()) == ([], [])


def test_a_download_goes_on_where_the_connection_broke(store: S3Files, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store.put(ONE, io.BytesIO(bytes(range(256)) * 20_000))
    broken: list[int] = []
    read = StreamingBody.read

    def breaks(body: StreamingBody, amount: int | None = None) -> Any:
        if len(broken) < 2 and body.tell() > 0:
            broken.append(body.tell())
            raise ReadTimeoutError(endpoint_url="http://s3.example.com", error="timed out")
        return read(body, amount)

    monkeypatch.setattr(StreamingBody, "read", breaks)
    got = b"".join(store.get(ONE, stored.blob_id, start=3, length=stored.size - 3))
    assert got == (bytes(range(256)) * 20_000)[3:]
    assert len(broken) == 2


def test_large_files_are_asked_for_in_ranges(store: S3Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_reading, "RANGE", 1000)
    content = hashlib.shake_256(b"content").digest(4500)
    stored = store.put(ONE, io.BytesIO(content))
    assert b"".join(store.get(ONE, stored.blob_id, start=10, length=4400)) == content[10:4410]


@pytest.mark.parametrize("lost", ["bucket", "credentials"])
def test_a_refusal_by_s3_is_put_into_words(
    bucket: Bucket, lost: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if lost == "credentials":
        for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(variable)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = S3Files("none-of-ours" if lost == "bucket" else bucket.name, "", endpoint_url=bucket.endpoint_url)
    for call in (store.ping, lambda: store.put(ONE, io.BytesIO(b"x"))):
        with pytest.raises(MltrailError) as caught:
            call()
        assert caught.value.code is Code.UNAVAILABLE
        assert "none-of-ours" not in caught.value.message
    assert caplog.records


def test_missing_bytes_are_an_error_before_any_byte_is_sent(store: S3Files) -> None:
    with pytest.raises(MltrailError) as caught:
        store.get(ONE, "f" * 32, length=5)
    assert caught.value.code is Code.NOT_FOUND
    assert store.size(ONE, "f" * 32) is None
    store.delete(ONE, "f" * 32)


def modules() -> Iterator[str]:
    """Import the whole server in a process of its own, and name what came with it."""
    command = "import sys, mltrail_server.app; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    yield from done.stdout.split()


def test_a_server_with_a_folder_does_not_load_the_client_for_s3() -> None:
    assert not {"boto3", "botocore", "s3transfer"} & set(modules())
