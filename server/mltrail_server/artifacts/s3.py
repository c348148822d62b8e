"""Files in a bucket of S3 or a compatible store: `<prefix>/<project>/<blob id>`.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import hashlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from mltrail_server.domain.errors import Code, MltrailError, not_found, unavailable
from mltrail_server.domain.ids import ProjectId, new_blob_id

from . import s3_reading
from .base import CHUNK, AbandonedUpload, ListedBlob, MultipartUpload, StoredBlob, UploadPart, check_size
from .s3_client import LazyClient, translating_errors

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART = 8 << 20
"""How much of an upload is kept in memory. Files of more than 80 GB have larger parts, since S3 accepts 10,000."""

MOST_PARTS = 10_000
DOWNLOAD_SECONDS = 300
PART_SECONDS = 3600

_VERSIONED = (
    "the bucket keeps old versions, so garbage collection frees no space: add a lifecycle rule that removes "
    "noncurrent versions after some days"
)


class S3Files:
    """See `base.FileStore`. Credentials and region are found in the same way as by AWS's tools."""

    def __init__(self, bucket: str, prefix: str, *, endpoint_url: str = "") -> None:
        self._bucket = bucket
        self._root = f"{prefix}/" if prefix else ""
        self._client = LazyClient(endpoint_url)
        self._probe = LazyClient(endpoint_url, patient=False)

    def put(
        self,
        project_id: ProjectId,
        stream: BinaryIO,
        *,
        size: int | None = None,
        limit: int | None = None,
        blob_id: str | None = None,
    ) -> StoredBlob:
        blob_id = blob_id or new_blob_id()
        part = part_size(size or 0)
        digest = hashlib.sha256()
        first = _read(stream, part)
        check_size(len(first), limit)
        digest.update(first)
        if len(first) < part:
            with translating_errors("store files"):
                self._client.api.put_object(Bucket=self._bucket, Key=self._key(project_id, blob_id), Body=first)  # type: ignore[arg-type] # see below
            return StoredBlob(blob_id, len(first), digest.hexdigest())
        begun = self._begin(project_id, blob_id)
        try:
            total = self._put_parts(project_id, begun, first, stream, digest=digest, limit=limit)
        except BaseException:
            with suppress(MltrailError):
                self.abort(project_id, begun)
            raise
        return StoredBlob(blob_id, total, digest.hexdigest())

    def _put_parts(
        self,
        project_id: ProjectId,
        begun: MultipartUpload,
        content: bytearray,
        stream: BinaryIO,
        *,
        digest: "hashlib._Hash",
        limit: int | None,
    ) -> int:
        full, total = len(content), len(content)
        done: list[UploadPart] = []
        while content:
            number = len(done) + 1
            with translating_errors("store files"):
                sent = self._client.api.upload_part(
                    Bucket=self._bucket,
                    Key=self._key(project_id, begun.blob_id),
                    UploadId=begun.store_id,
                    PartNumber=number,
                    Body=content,  # type: ignore[arg-type] # it accepts a bytearray too, without copying it
                )
            done.append(UploadPart(number, sent["ETag"]))
            content.clear()  # before the next part is read, so that only one is in memory
            content = _read(stream, full)
            total += len(content)
            check_size(total, limit)
            digest.update(content)
        self._complete(project_id, begun, done)
        return total

    def get(self, project_id: ProjectId, blob_id: str, *, start: int = 0, length: int) -> Generator[bytes, None, None]:
        stop = start + length
        return s3_reading.read(self._client, self._bucket, self._key(project_id, blob_id), start, stop)

    def local_path(self, _project_id: ProjectId, _blob_id: str) -> str | None:
        return None

    def delete(self, project_id: ProjectId, blob_id: str) -> None:
        with translating_errors("delete files"):
            self._client.api.delete_object(Bucket=self._bucket, Key=self._key(project_id, blob_id))

    def size(self, project_id: ProjectId, blob_id: str) -> int | None:
        try:
            with translating_errors("look at files"):
                return self._client.api.head_object(Bucket=self._bucket, Key=self._key(project_id, blob_id))[
                    "ContentLength"
                ]
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                return None
            raise

    def ping(self) -> None:
        try:
            with translating_errors("store files"):
                self._probe.api.head_bucket(Bucket=self._bucket)
        except MltrailError as error:
            if error.code is Code.NOT_FOUND:
                raise unavailable("Files can't be stored at present: the bucket does not exist.") from error
            raise

    def hints(self) -> list[str]:
        """Say what keeps bytes that garbage collection removes. Not every store or credential can tell."""
        api, found = self._client.api, []
        try:
            with translating_errors("read the bucket's settings"):
                if api.get_bucket_versioning(Bucket=self._bucket).get("Status") == "Enabled":
                    rules = api.get_bucket_lifecycle_configuration(Bucket=self._bucket)["Rules"]
                    if not any("NoncurrentVersionExpiration" in one for one in rules):
                        found.append(_VERSIONED)
        except MltrailError as error:
            missing = "NoSuchLifecycleConfiguration" in str(error.__cause__)
            return [_VERSIONED] if missing else []
        return found

    def projects(self) -> list[ProjectId]:
        found: list[ProjectId] = []
        with translating_errors("list files"):
            for page in self._client.api.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._root, Delimiter="/"
            ):
                names = (one["Prefix"].removeprefix(self._root).rstrip("/") for one in page.get("CommonPrefixes", ()))
                found += [ProjectId(int(name)) for name in names if name.isascii() and name.isdigit()]
        return found

    def stored(self, project_id: ProjectId) -> Iterator[ListedBlob]:
        prefix = f"{self._root}{project_id}/"
        with translating_errors("list files"):
            for page in self._client.api.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix):
                for one in page.get("Contents", ()):
                    modified = int(one["LastModified"].timestamp() * 1000)
                    yield ListedBlob(one["Key"].removeprefix(prefix), one["Size"], modified)

    def leftovers(self, *, before_ms: int) -> Iterator[AbandonedUpload]:
        with translating_errors("list uploads"):
            for page in self._client.api.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket, Prefix=self._root
            ):
                for one in page.get("Uploads", ()):
                    project, _, blob_id = one["Key"].removeprefix(self._root).partition("/")
                    begun_ms = int(one["Initiated"].timestamp() * 1000)
                    if begun_ms <= before_ms and project.isascii() and project.isdigit():
                        yield AbandonedUpload(ProjectId(int(project)), blob_id, one["UploadId"])

    def drop(self, leftover: AbandonedUpload) -> None:
        self.abort(leftover.project_id, MultipartUpload(leftover.blob_id, leftover.name))

    def begin(self, project_id: ProjectId) -> MultipartUpload:
        return self._begin(project_id, new_blob_id())

    def _begin(self, project_id: ProjectId, blob_id: str) -> MultipartUpload:
        with translating_errors("store files"):
            begun = self._client.api.create_multipart_upload(Bucket=self._bucket, Key=self._key(project_id, blob_id))
        return MultipartUpload(blob_id, begun["UploadId"])

    def part_url(self, project_id: ProjectId, begun: MultipartUpload, number: int) -> str:
        wanted: dict[str, str | int] = {"UploadId": begun.store_id, "PartNumber": number}
        return self._url("upload_part", project_id, begun.blob_id, PART_SECONDS, wanted)

    def complete(self, project_id: ProjectId, begun: MultipartUpload, parts: Iterable[UploadPart]) -> int:
        try:
            self._complete(project_id, begun, parts)
        except MltrailError as error:
            # If the response to an earlier call was lost, the upload is gone and the blob exists.
            size = self.size(project_id, begun.blob_id) if error.code is Code.NOT_FOUND else None
            if size is None:
                raise
            return size
        size = self.size(project_id, begun.blob_id)
        if size is None:
            raise not_found("The store has lost the upload; send the file again.")
        return size

    def _complete(self, project_id: ProjectId, begun: MultipartUpload, parts: Iterable[UploadPart]) -> None:
        completed: list[CompletedPartTypeDef] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        with translating_errors("store files"):
            self._client.api.complete_multipart_upload(
                Bucket=self._bucket,
                Key=self._key(project_id, begun.blob_id),
                UploadId=begun.store_id,
                MultipartUpload={"Parts": completed},
            )

    def abort(self, project_id: ProjectId, begun: MultipartUpload) -> None:
        with _even_when_gone(), translating_errors("store files"):
            self._client.api.abort_multipart_upload(
                Bucket=self._bucket, Key=self._key(project_id, begun.blob_id), UploadId=begun.store_id
            )

    def download_url(self, project_id: ProjectId, blob_id: str, *, disposition: str) -> str:
        shown = {"ResponseContentDisposition": disposition, "ResponseContentType": "application/octet-stream"}
        return self._url("get_object", project_id, blob_id, DOWNLOAD_SECONDS, shown)

    def _url(
        self, call: str, project_id: ProjectId, blob_id: str, seconds: int, wanted: Mapping[str, str | int]
    ) -> str:
        """Presign a call, which needs no request."""
        named = {"Bucket": self._bucket, "Key": self._key(project_id, blob_id), **wanted}
        with translating_errors("sign URLs"):
            return self._client.api.generate_presigned_url(call, Params=named, ExpiresIn=seconds)

    def _key(self, project_id: ProjectId, blob_id: str) -> str:
        return f"{self._root}{project_id}/{blob_id}"


def part_size(size: int) -> int:
    """Return how large the parts of a file of this size must be, in bytes."""
    return max(PART, -(-size // MOST_PARTS))


def _read(stream: BinaryIO, size: int) -> bytearray:
    """Read this many bytes, or what is left, into one buffer: a connection returns little at a time."""
    room = bytearray()
    while len(room) < size and (some := stream.read(min(CHUNK, size - len(room)))):
        room += some
    return room


@contextmanager
def _even_when_gone() -> Iterator[None]:
    try:
        yield
    except MltrailError as error:
        if error.code is not Code.NOT_FOUND:
            raise
