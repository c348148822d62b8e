"""Calls to S3 are measured by operation and status, also those that get no response."""

import io
from collections.abc import Iterator

import pytest

from mltrail_server.artifacts.s3 import S3Files
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.telemetry.measured import MEASURED, Receiver
from tests.s3 import Bucket


class Calls(Receiver):
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def s3_call(self, operation: str, status: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((operation, status))


@pytest.fixture
def calls() -> Iterator[Calls]:
    before, MEASURED.to = MEASURED.to, Calls()
    yield MEASURED.to
    MEASURED.to = before


def test_by_operation_and_status(bucket: Bucket, calls: Calls) -> None:
    files = S3Files(bucket.name, "x", endpoint_url=bucket.endpoint_url)
    files.put(ProjectId(1), io.BytesIO(b"x"), size=1)
    assert ("PutObject", "200") in calls.seen
    with pytest.raises(MltrailError):
        S3Files("no-such-bucket", "x", endpoint_url=bucket.endpoint_url).ping()
    assert ("HeadBucket", "404") in calls.seen


def test_without_a_response(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with pytest.raises(MltrailError):
        S3Files("bucket", "x", endpoint_url="http://127.0.0.1:9").ping()
    assert calls.seen == [("HeadBucket", "error")]
