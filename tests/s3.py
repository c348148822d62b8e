"""A stand-in for S3 over real HTTP: moto. Credentials come by variables, as they do for users."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

VARIABLES = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "eu-central-1"}


@dataclass(frozen=True)
class Bucket:
    """A bucket of one test."""

    endpoint_url: str
    name: str

    @property
    def url(self) -> str:
        return f"s3://{self.name}/some/prefix"

    @property
    def api(self) -> "S3Client":
        import boto3  # noqa: PLC0415 - takes a second, so whoever needs no S3 does not wait for it

        return boto3.client("s3", endpoint_url=self.endpoint_url)

    def keys(self) -> list[str]:
        return [one["Key"] for one in self.api.list_objects_v2(Bucket=self.name).get("Contents", ())]

    def uploads(self) -> list[str]:
        return [one["Key"] for one in self.api.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """S3, started by the first test that asks for it."""
    with moto() as url:
        yield url


_numbers = itertools.count(1)


@pytest.fixture
def bucket(s3_endpoint: str) -> Iterator[Bucket]:
    with new_bucket(s3_endpoint, f"bucket-{next(_numbers)}") as made:
        yield made


@contextmanager
def moto() -> Iterator[str]:
    """Serve S3 on a free port, and answer its URL."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request else
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def new_bucket(endpoint_url: str, name: str) -> Iterator[Bucket]:
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in VARIABLES.items():
            patch.setenv(variable, value)
        bucket = Bucket(endpoint_url, name)
        bucket.api.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield bucket
