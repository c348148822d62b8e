"""Objects of S3, read in ranges: what breaks off goes on where it stopped."""

import logging
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

from .base import CHUNK
from .s3_client import LazyClient, translating_errors

if TYPE_CHECKING:
    from botocore.response import StreamingBody

RANGE = 64 << 20
"""How much is requested from S3 at once, so that a slow reader does not keep one response open for hours."""

_TRIES = 3
_log = logging.getLogger(__name__)


def read(client: LazyClient, bucket: str, key: str, start: int, stop: int) -> Generator[bytes, None, None]:
    """Read the bytes from `start` to before `stop` in chunks.

    The first response is awaited here, so that missing bytes are an error (NOT_FOUND) before any byte is returned.
    """
    if start == stop:
        return _nothing()
    return _chunks(client, bucket, key, _range(client, bucket, key, start, stop), start, stop)


def _chunks(
    client: LazyClient, bucket: str, key: str, body: "StreamingBody", start: int, stop: int
) -> Generator[bytes, None, None]:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - see s3_client

    failures = 0
    while True:
        try:
            with body:
                for chunk in iter(partial(body.read, CHUNK), b""):
                    start += len(chunk)
                    failures = 0
                    yield chunk
        except BotoCoreError as error:
            failures += 1
            if failures == _TRIES:
                raise
            _log.warning("reading %s continues after: %s", key, error)
        if start >= stop:
            return
        body = _range(client, bucket, key, start, stop)


def _range(client: LazyClient, bucket: str, key: str, start: int, stop: int) -> "StreamingBody":
    last = min(start + RANGE, stop) - 1
    with translating_errors("read files"):
        return client.api.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{last}")["Body"]


def _nothing() -> Generator[bytes, None, None]:
    yield from ()
