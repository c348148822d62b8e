"""Decode a client's body into a typed struct, or say what is wrong with it."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, TypeVar

import msgspec
from flask import Request
from werkzeug.sansio.utils import get_content_length
from werkzeug.wsgi import get_input_stream

from mltrail_server.domain import limits
from mltrail_server.domain.errors import Code, MltrailError, invalid, unavailable
from mltrail_server.domain.reasons import Reason

from .slow_bodies import PIECE, SLOW_BODIES

T = TypeVar("T")

_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`(?: - at `(?P<where>[^`]+)`)?")
_MOST_SHOWN = 200
_WRONG = re.compile(r"(?P<what>.+?) - at `(?P<where>[^`]+)`")


def body_of(request: Request, kind: type[T]) -> T:
    """Decode a JSON body. Numbers may be sent as strings, `null` means absent; `kind` decides whether other fields are
    errors.

    Raises INVALID with the field's name, TOO_LARGE for more than `limits.MAX_BODY`.
    """
    if request.mimetype != "application/json":
        raise invalid(
            f"The body must be JSON with `Content-Type: application/json`, not {request.mimetype or 'without a type'}."
        )
    data = read_body(request)
    try:
        try:
            return msgspec.json.decode(data, type=kind, strict=False)
        except msgspec.ValidationError as error:
            if "got `null`" not in str(error):
                raise
            # This is rare, so a training loop only ever needs the typed decoder.
            return msgspec.convert(_without_nulls(msgspec.json.decode(data)), type=kind, strict=False)
    except msgspec.ValidationError as error:
        raise validation_error(error, data) from error
    except RecursionError as error:
        raise invalid("The body is nested too deeply.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(f"The body is not JSON: {error}. Check for a truncated or doubly encoded request.") from error


def read_body(request: Request, *, most: int = limits.MAX_BODY) -> bytes:
    """Read a body of limited size, whether or not its size was announced. Raises TOO_LARGE."""
    sent = request.environ
    size = get_content_length(sent.get("CONTENT_LENGTH"), sent.get("HTTP_TRANSFER_ENCODING"))
    if (size or 0) <= most:
        data = _read(request, size, most)
        if len(data) < (size or 0):
            raise invalid(f"The body was truncated after {len(data)} of {size} bytes; send it again.")
        if len(data) <= most:
            return data
    raise MltrailError(
        Code.TOO_LARGE,
        f"The body is larger than {most} bytes. Send it in smaller batches, and long texts as files.",
    )


def _read(request: Request, size: int | None, most: int) -> bytes:
    """Read a whole body, piece by piece, so that a slow one is noticed. `size` is what was announced, if anything."""
    if size is not None and size <= PIECE:
        # Not `request.stream`, which counts the bytes once more.
        return SLOW_BODIES.read(request, request.environ["wsgi.input"], size) if size else b""
    # One byte more, since a body without a length is silently truncated there.
    request.max_content_length = most + 1
    pieces: list[bytes] = []
    total = 0
    while piece := SLOW_BODIES.read(request, request.stream, PIECE, total):
        pieces.append(piece)
        total += len(piece)
    return b"".join(pieces)


def read_form(request: Request, most: int) -> None:
    """Read the body of a form before Flask parses it, so that a slow one is noticed. Raises SLOW, and for a body that
    is too large what Werkzeug raises.
    """
    stream = get_input_stream(request.environ, max_content_length=most)
    pieces: list[bytes] = []
    while piece := SLOW_BODIES.read(request, stream, PIECE, sum(map(len, pieces))):
        pieces.append(piece)
    request.environ["wsgi.input"] = io.BytesIO(b"".join(pieces))


_UNAUTHENTICATED = BoundedSemaphore(4)


@contextmanager
def unauthenticated_body() -> Iterator[None]:
    """Read within this block what an unauthenticated sender sends. A body can be sent very slowly, and occupies a
    thread all the time; so only a few are read at the same time. Raises UNAVAILABLE.
    """
    if not _UNAUTHENTICATED.acquire(blocking=False):
        raise unavailable("Too many forms are being sent at the same time; try again in a moment.", retry_after=2)
    try:
        yield
    finally:
        _UNAUTHENTICATED.release()


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def validation_error(error: msgspec.ValidationError, given: object) -> MltrailError:
    """Say which field is missing or wrong, and how; each edge has its own words for it."""
    text = str(error)
    if missing := _MISSING.fullmatch(text):
        where = _field(missing["where"] or "$")
        name = f"{where}.{missing['name']}" if where else missing["name"]
        return invalid(Reason.FIELD_MISSING, field=name)
    if wrong := _WRONG.fullmatch(text):
        name = _field(wrong["where"])
        return invalid(Reason.FIELD_WRONG, field=name, given=_shown(given, name), what=wrong["what"].lower())
    return invalid(f"Invalid request body: {text[:1].lower()}{text[1:]}.")


def _shown(given: object, name: str) -> str:
    """Show the value that was sent for a top-level field, or nothing for a nested one."""
    try:
        whole = msgspec.json.decode(given) if isinstance(given, bytes) else given
    except msgspec.DecodeError:  # the error comes before the place where the text stops being JSON
        return ""
    if not isinstance(whole, dict) or name not in whole:
        return ""
    shown = json.dumps(whole[name], separators=(",", ":"), sort_keys=True)
    return f" {shown}" if len(shown) <= _MOST_SHOWN else f" {shown[:_MOST_SHOWN]}…"


def _field(where: str) -> str:
    """Turn msgspec's `$.metrics[...].key` into `metrics[...].key`."""
    return where.removeprefix("$").removeprefix(".")
