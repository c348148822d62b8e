"""JSON that is read piece by piece: the history of a run may be longer than memory."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

_CHUNK = 1 << 16
_LARGEST = 64 << 20
_SPACE = " \t\r\n"


class JsonStream:
    """Walks through a text. Each method raises ValueError where the text is not what it expects."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._decoder = json.JSONDecoder()

    def members(self) -> Iterator[str]:
        """Walk through an object: after each key, the caller reads the value with one of the other methods."""
        self._expect("{")
        if self._next() == "}":
            self._at += 1
            return
        while True:
            if self._next() != '"':
                raise ValueError("a key is missing")
            key: str = self.value()
            self._expect(":")
            yield key
            if self._either(",", "}") == "}":
                return

    def items(self) -> Iterator[Any]:
        """Walk through a list, and decode each item."""
        self._expect("[")
        if self._next() == "]":
            self._at += 1
            return
        while True:
            yield self.value()
            if self._either(",", "]") == "]":
                return

    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """Decode a whole value."""
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError:
                self._more(max(_CHUNK, len(self._buffer)))
                continue
            except RecursionError as error:
                raise ValueError("it is nested too deeply") from error
            if end == len(self._buffer) and not self._ended:
                self._more(_CHUNK, may_end=True)  # a number may go on
                continue
            self._at = end
            return value

    def _next(self) -> str:
        """Return the next character that is not space, without taking it."""
        while True:
            while self._at < len(self._buffer):
                if self._buffer[self._at] not in _SPACE:
                    return self._buffer[self._at]
                self._at += 1
            self._more(_CHUNK)

    def _expect(self, wanted: str) -> None:
        self._either(wanted, wanted)

    def _either(self, one: str, other: str) -> str:
        found = self._next()
        if found not in {one, other}:
            raise ValueError(f"{one!r} or {other!r} is missing")
        self._at += 1
        return found

    def _more(self, size: int, *, may_end: bool = False) -> None:
        if self._ended and not may_end:
            raise ValueError("it is cut off, or is not JSON")
        if len(self._buffer) - self._at > _LARGEST:
            raise ValueError(f"a value is longer than {_LARGEST:,} characters, or it is not JSON")
        chunk = self._text.read(size)
        self._ended = not chunk
        self._buffer = self._buffer[self._at :] + chunk
        self._at = 0
