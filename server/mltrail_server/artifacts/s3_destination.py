"""Backups in a bucket of S3 or a compatible store."""

import io
import secrets
import threading
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

from mltrail_server.domain.errors import Code, MltrailError, conflict, not_found, unavailable

from . import s3_reading
from .destination import OWN, Sink, Stored, in_use
from .s3 import part_size
from .s3_client import LazyClient

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_LOCKS = "locks/"
_RENEW_SECONDS = 60.0
_DEAD_SECONDS = 900
"""A lock that was not renewed for this long is that of a process that was killed. By the clock of the store alone."""


class S3Destination:
    """See `destination.Destination`. Credentials and region are found in the same way as by AWS's tools."""

    def __init__(self, address: str, bucket: str, prefix: str, *, endpoint_url: str = "") -> None:
        self.address = address
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._client = LazyClient(endpoint_url)

    @contextmanager
    def create(self, name: str, *, size: int = 0) -> Iterator[Sink]:
        writer = _Writer(self._client, self._bucket, self._root + name, part_size(size))
        try:
            yield writer
            writer.finish()
        except BaseException:
            with suppress(MltrailError):
                writer.abort()
            raise

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        key = self._root + name
        try:
            with _translating("read"):
                size = self._client.api.head_object(Bucket=self._bucket, Key=key)["ContentLength"]
            chunks = s3_reading.read(self._client, self._bucket, key, 0, size)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                raise not_found(f"{name} is missing in {self.address}.") from error
            raise
        with closing(chunks):
            yield io.BufferedReader(_Reader(chunks))

    def list(self, prefix: str) -> Iterator[Stored]:
        with _translating("list"):
            for page in self._client.api.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._root + prefix
            ):
                for one in page.get("Contents", ()):
                    yield Stored(one["Key"].removeprefix(self._root), one["Size"])

    def delete(self, name: str) -> None:
        with _translating("delete"):
            self._client.api.delete_object(Bucket=self._bucket, Key=self._root + name)

    def settle(self) -> None:
        """Do nothing: S3 acknowledges only what is safely stored."""

    def drop_unfinished(self) -> None:
        uploads = self._client.api.get_paginator("list_multipart_uploads")
        with _translating("list"):
            pages = (uploads.paginate(Bucket=self._bucket, Prefix=self._root + prefix) for prefix in OWN)
            for page in chain.from_iterable(pages):
                for one in page.get("Uploads", ()):
                    self._client.api.abort_multipart_upload(
                        Bucket=self._bucket, Key=one["Key"], UploadId=one["UploadId"]
                    )

    @contextmanager
    def lock(self) -> Iterator["_S3Lock"]:
        """Put an object of our own, then look who else has one: who is later sees the other. Two that begin at the same
        moment may both give up, but never both go on. It needs only what every store has.
        """
        lock = _S3Lock(self, f"{_LOCKS}{secrets.token_hex(8)}")
        lock.renew()
        stopped = threading.Event()
        renewing = threading.Thread(target=lock.keep, args=(stopped,), name="backup lock", daemon=True)
        try:
            if self._others(lock.name):
                raise in_use(self.address)
            renewing.start()
            yield lock
        finally:
            stopped.set()
            if renewing.ident:
                renewing.join()
            with suppress(MltrailError):
                self.delete(lock.name)

    def _others(self, own: str) -> bool:
        """Whether somebody else holds a lock that was renewed lately; removes those of the dead."""
        found: dict[str, datetime] = {}
        with _translating("lock"):
            listed = self._client.api.list_objects_v2(Bucket=self._bucket, Prefix=self._root + _LOCKS)
            for one in listed.get("Contents", ()):
                found[one["Key"].removeprefix(self._root)] = one["LastModified"]
        now = found.pop(own)
        dead = [name for name, renewed in found.items() if (now - renewed).total_seconds() > _DEAD_SECONDS]
        for name in dead:
            self.delete(name)
        return len(found) > len(dead)

    def touch(self, name: str) -> None:
        with _translating("lock"):
            self._client.api.put_object(Bucket=self._bucket, Key=self._root + name, Body=b"")


@contextmanager
def _translating(what: str) -> Iterator[None]:
    """Translate S3's errors for the operator, who may know its codes. `what` says what could not be done."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415 - see s3_client

    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in {"404", "NoSuchKey", "NotFound"}:
            raise not_found("It is missing.") from error
        if code == "NoSuchBucket":
            raise unavailable("The bucket for backups does not exist: create it, or correct its name.") from error
        raise unavailable(
            f"S3 refuses to {what} backups ({code}). Check the bucket and the key's permissions."
        ) from error
    except NoCredentialsError as error:
        raise unavailable(
            "There are no credentials for S3: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE."
        ) from error
    except BotoCoreError as error:
        raise unavailable(
            f"S3 does not respond ({type(error).__name__}): can't {what} backups. Check the network, and "
            "MLTRAIL_BACKUP_S3_ENDPOINT_URL for a store outside AWS."
        ) from error


class _S3Lock:
    def __init__(self, destination: S3Destination, name: str) -> None:
        self.name = name
        self._destination = destination

    def renew(self) -> None:
        self._destination.touch(self.name)

    def keep(self, stopped: threading.Event) -> None:
        while not stopped.wait(_RENEW_SECONDS):
            with suppress(MltrailError):  # there are many more tries before it counts as dead
                if self._is_there():
                    self.renew()

    def check(self) -> None:
        if not self._is_there():
            raise conflict(
                "This process was paused for so long that another one has taken over the backups in "
                f"{self._destination.address}. Run the command again."
            )

    def _is_there(self) -> bool:
        return any(self._destination.list(self.name))


class _Reader(io.RawIOBase):
    """Reads what comes in chunks of any size."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, room: "bytearray | memoryview") -> int:  # type: ignore[override] # narrower than any buffer
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = memoryview(chunk)
        count = min(len(room), len(self._left))
        room[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class _Writer:
    """Sends an object: in one call if it is small, else in parts, of which one is in memory."""

    def __init__(self, client: LazyClient, bucket: str, key: str, part: int) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self._part = part
        self._room = bytearray()
        self._upload = ""
        self._done: list[CompletedPartTypeDef] = []

    def write(self, data: bytes, /) -> int:
        self._room += data
        while len(self._room) >= self._part:
            self._send(bytes(self._room[: self._part]))
            del self._room[: self._part]
        return len(data)

    def flush(self) -> None:
        """Do nothing: parts have their size."""

    def _send(self, part: bytes) -> None:
        with _translating("write"):
            if not self._upload:
                begun = self._client.api.create_multipart_upload(Bucket=self._bucket, Key=self._key)
                self._upload = begun["UploadId"]
            number = len(self._done) + 1
            sent = self._client.api.upload_part(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload, PartNumber=number, Body=part
            )
        self._done.append({"PartNumber": number, "ETag": sent["ETag"]})

    def finish(self) -> None:
        if not self._upload:
            with _translating("write"):
                self._client.api.put_object(Bucket=self._bucket, Key=self._key, Body=bytes(self._room))
            return
        if self._room:
            self._send(bytes(self._room))
        with _translating("write"):
            self._client.api.complete_multipart_upload(
                Bucket=self._bucket, Key=self._key, UploadId=self._upload, MultipartUpload={"Parts": self._done}
            )

    def abort(self) -> None:
        if self._upload:
            with _translating("write"):
                self._client.api.abort_multipart_upload(Bucket=self._bucket, Key=self._key, UploadId=self._upload)
