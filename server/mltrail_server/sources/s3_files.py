"""Files in buckets of S3 or a compatible store, read with the operator's own credentials.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from mltrail_server.domain.errors import MltrailError, not_found, unavailable
from mltrail_server.domain.transfer import FileRecord, Findings

from .listings import has_plain_names, refuse
from .streams import checked

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_BUCKET = "NoSuchBucket"
_GONE = frozenset({"404", "NoSuchKey", "NotFound", _NO_BUCKET})


class S3Files:
    """Lists and opens objects. Credentials and region are found in the same way as by AWS's tools."""

    def __init__(self, findings: Findings, endpoint_url: str) -> None:
        self._findings = findings
        self._endpoint_url = endpoint_url
        self._made: S3Client | None = None
        self._failed: dict[str, str] = {}  # buckets that can't be read at all: not asked again for each run

    def files(self, address: str, owner: str) -> Iterator[FileRecord]:
        """List the objects below an address, by name."""
        bucket, prefix = _split(address)
        if importlib.util.find_spec("boto3") is None:
            raise unavailable("files in S3 can't be read without the extra `s3`: install mltrail[server,s3]")
        if bucket in self._failed:
            raise unavailable(self._failed[bucket])
        root = f"{prefix}/" if prefix else ""
        with self._translating(bucket, address):
            pages = self._api.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=root)
            for page in pages:
                for one in page.get("Contents", ()):
                    path = one["Key"][len(root) :]
                    if (path.endswith("/") and not one["Size"]) or not path:
                        continue  # stands for a folder
                    if not has_plain_names(path):
                        refuse(path, owner, self._findings)
                        continue
                    yield FileRecord(path, f"s3://{bucket}/{one['Key']}", one["Size"])

    def open(self, uri: str, size: int | None) -> BinaryIO:
        from botocore.exceptions import BotoCoreError, HTTPClientError  # noqa: PLC0415 - takes a second

        bucket, key = _split(uri)
        with self._translating(bucket, uri):
            body = self._api.get_object(Bucket=bucket, Key=key)["Body"]
        return checked(uri, body, size, BotoCoreError, HTTPClientError, OSError)

    @property
    def _api(self) -> "S3Client":
        if self._made is None:
            import boto3  # noqa: PLC0415 - takes a second, so imports without files in S3 don't wait for it
            from botocore.config import Config  # noqa: PLC0415

            config = Config(
                connect_timeout=5,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 4},
                s3={"addressing_style": "path" if self._endpoint_url else "auto"},
                response_checksum_validation="when_required",
            )
            session = boto3.session.Session()
            self._made = session.client("s3", endpoint_url=self._endpoint_url or None, config=config)
        return self._made

    @contextmanager
    def _translating(self, bucket: str, address: str) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError  # noqa: PLC0415 - takes a second

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code == _NO_BUCKET:
                self._failed[bucket] = f"there is no bucket {bucket}; check MLTRAIL_IMPORT_S3_ENDPOINT_URL"
            raise _refused(code, address) from error
        except NoCredentialsError as error:
            self._failed[bucket] = (
                f"bucket {bucket} can't be read: there are no credentials for S3. Set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            )
            raise unavailable(self._failed[bucket]) from error
        except BotoCoreError as error:
            raise unavailable(f"{address} can't be read: S3 does not respond ({type(error).__name__})") from error


def _refused(code: str, address: str) -> MltrailError:
    if code in _GONE:
        return not_found(f"{address} does not exist ({code})")
    return unavailable(f"{address} can't be read: S3 returned {code}; check that your credentials may list and read it")


def _split(address: str) -> tuple[str, str]:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key
