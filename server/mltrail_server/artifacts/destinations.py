"""Where backups are kept, by what the operator has written.

A destination is either a folder or a bucket, and both hold the same objects, so that a folder can be copied to a bucket
and back by any tool.
"""

from pathlib import Path

from mltrail_server.domain.errors import invalid

from .destination import Destination
from .folder_destination import FolderDestination


def open_destination(address: str, *, endpoint_url: str = "") -> Destination:
    """Open a folder or `s3://bucket/prefix`. Nothing is created or asked yet."""
    if address.startswith("s3://"):
        from .s3_destination import S3Destination  # noqa: PLC0415 - a folder needs no S3

        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        if not bucket:
            raise invalid("A bucket is missing: write s3://bucket/prefix.")
        return S3Destination(address, bucket, prefix.strip("/"), endpoint_url=endpoint_url)
    if address.startswith("s3:"):  # else it would be a folder, and the operator would believe in a bucket
        raise invalid("A bucket is written s3://bucket/prefix.")
    if "://" in address:
        raise invalid(
            f"Backups are kept in a folder or in s3://bucket/prefix, not in {address.partition('://')[0]}://."
        )
    if not address:
        raise invalid("Give a folder, or s3://bucket/prefix.")
    return FolderDestination(address, Path(address))
