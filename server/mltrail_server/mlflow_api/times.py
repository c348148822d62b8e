"""Times in MLflow 3's messages: RFC 3339, as protocol buffers write them in JSON.

https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp
"""

import re
from datetime import UTC, datetime, timedelta

from mltrail_server.domain.errors import MltrailError, invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
FIRST_MS, LAST_MS = -62_135_596_800_000, 253_402_300_799_999
"""The years 1 to 9999: protocol buffers have no other times, and neither has Python."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII)


def rfc3339(milliseconds: int) -> str:
    """Write milliseconds since the epoch: with three digits after the point, or with none for a whole second."""
    time = _EPOCH + milliseconds * _MILLISECOND
    fraction = f".{milliseconds % 1000:03}" if milliseconds % 1000 else ""
    return f"{time:%Y-%m-%dT%H:%M:%S}{fraction}Z".rjust(len("0000-00-00T00:00:00Z") + len(fraction), "0")


def milliseconds_of(text: str, field: str) -> int:
    """Read a time as milliseconds since the epoch; what is finer is cut off. Raises INVALID, and names the field."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise _wrong(text, field)
    whole, fraction, zone = found.groups()
    try:
        time = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
        milliseconds = (time - _EPOCH) // _MILLISECOND + int(f"{fraction or 0:0<3}"[:3])
    except (ValueError, OverflowError) as error:
        raise _wrong(text, field) from error
    if not FIRST_MS <= milliseconds <= LAST_MS:  # because of its zone
        raise _wrong(text, field)
    return milliseconds


def _wrong(text: str, field: str) -> MltrailError:
    return invalid(
        f"Invalid value '{text[:60]}' for parameter '{field}' supplied: it must be a time such as "
        "2026-11-28T18:24:19.505Z."
    )
