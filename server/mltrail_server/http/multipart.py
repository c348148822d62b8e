"""The files of a form as they arrive: one after the other, none of them in memory or in a temporary file.

A form's fields are known once they have arrived, so a browser sends those that a file depends on before it: in the
order that they have on the page. https://www.rfc-editor.org/rfc/rfc7578
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData

from mltrail_server.domain.errors import Code, MltrailError, invalid

from .slow_bodies import SLOW_BODIES

_PIECE = 1 << 18
_MOST_WAITING = 1 << 20
"""Of the body, in bytes: a piece that has just arrived, and what is left of the one before."""
_MOST_PARTS = 1000
_MOST_FIELD = 8192
_MOST_NAME = 200
_MOST_DRAINED = 16 << 20
_CUT = "The upload was cut off before its end. What had arrived completely is stored; send the rest again."


@dataclass
class MultipartBody:
    """A form with files. `fields` are those that came before the file that is being read."""

    request: Request
    fields: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        boundary = self.request.mimetype_params.get("boundary", "")
        self._decoder = MultipartDecoder(boundary.encode("latin-1", "replace"), _MOST_WAITING, max_parts=_MOST_PARTS)
        self._read = 0

    def files(self) -> Iterator[tuple[str, "PartStream"]]:
        """Give each file's name, as the browser says it, and its bytes, which are to be read before the next one.

        Files without a name, which browsers send for an empty field, are left out. Raises INVALID for a body that is no
        form or is cut off, TOO_LARGE for one with too many parts.
        """
        if self.request.mimetype != "multipart/form-data" or not self._decoder.boundary:
            raise invalid("This form must be sent as multipart/form-data, with a boundary.")
        while (event := self._next()) is not None:
            if isinstance(event, Field):
                if len(event.name) > _MOST_NAME:
                    raise MltrailError(Code.TOO_LARGE, "A field of this form has too long a name.")
                self.fields[event.name] = self._text()
            elif isinstance(event, File):
                stream = PartStream(self)
                if event.filename:
                    yield event.filename, stream
                stream.skip()

    def drain(self) -> None:
        """Read what is left of a body that was refused, unless it is large: a browser that can't send everything shows
        no response.
        """
        left = min((self.request.content_length or 0) - self._read, _MOST_DRAINED)
        while left > 0 and (piece := self._piece()):
            left -= len(piece)

    def next_data(self) -> Data:
        event = self._next()
        if not isinstance(event, Data):
            raise invalid(_CUT)
        return event

    def _text(self) -> str:
        pieces, more = b"", True
        while more:
            data = self.next_data()
            pieces, more = pieces + data.data, data.more_data
            if len(pieces) > _MOST_FIELD:
                raise MltrailError(Code.TOO_LARGE, "A field of this form is too long.")
        return pieces.decode(errors="replace")

    def _next(self) -> Event | None:
        """Return the next event; None at the end of the form."""
        try:
            while isinstance(event := self._decoder.next_event(), NeedData):
                self._decoder.receive_data(self._piece() or None)
        except RequestEntityTooLarge as error:
            raise MltrailError(Code.TOO_LARGE, "This form has too many parts, or one with too long a head.") from error
        except ValueError as error:
            raise invalid(_CUT) from error
        return None if isinstance(event, Epilogue) else event

    def _piece(self) -> bytes:
        piece = SLOW_BODIES.read(self.request, self.request.stream, _PIECE, self._read)
        self._read += len(piece)
        return piece


class PartStream(io.RawIOBase):
    """The bytes of one file. Raises INVALID if the body ends before the file does, and SLOW as other bodies do."""

    def __init__(self, body: MultipartBody) -> None:
        self._body = body
        self._waiting = b""
        self._more = True

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, or without a size all that is left; no bytes mean the end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        while self._more and not self._waiting:
            data = self._body.next_data()
            self._waiting, self._more = data.data, data.more_data
        found, self._waiting = self._waiting[:size], self._waiting[size:]
        return found

    def skip(self) -> None:
        while self.read(_PIECE):
            pass
