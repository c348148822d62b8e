"""Small files, fetched a few at a time: most of the time that each takes is the trip to the server and back."""

import io
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from mltrail_server.domain.transfer import FileRecord
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import Rest
from mltrail_server.sources.workers import Workers

if TYPE_CHECKING:
    from concurrent.futures import Future

OURS = ("get-artifact?", "api/", "ajax-api/")
"""How the URIs of files begin that are read through the server."""

_LARGEST = 256 * 1024
_AHEAD = 8


class SmallFiles:
    """Fetches the next files of a list while one is read, as long as each file of the list is opened."""

    def __init__(self, rest: Rest, workers: Workers) -> None:
        self._rest, self._workers = rest, workers
        self._fetched: dict[str, Future[bytes]] = {}
        self._opened = False

    def passed(self, files: Iterable[FileRecord]) -> Iterator[FileRecord]:
        """Pass the list on, and fetch its next files while the caller reads one."""
        coming = iter(files)
        waiting: list[FileRecord] = []
        try:
            while True:
                while len(waiting) < (_AHEAD if self._opened else 1) and (file := next(coming, None)) is not None:
                    waiting.append(file)
                if not waiting:
                    return
                if self._opened:
                    self._fetch(waiting)
                self._opened = False
                yield waiting.pop(0)
        finally:
            for unneeded in self._fetched.values():
                unneeded.cancel()
            self._fetched = {}

    def taken(self, file: FileRecord) -> BinaryIO | None:
        """Return a file that was fetched; None if it was not. Raises what went wrong."""
        self._opened = True
        fetched = self._fetched.pop(file.uri, None)
        return None if fetched is None else io.BytesIO(fetched.result())

    def _fetch(self, files: Iterable[FileRecord]) -> None:
        for file in files:
            small = file.size is not None and file.size <= _LARGEST and file.uri.startswith(OURS)
            if small and file.uri not in self._fetched:
                self._fetched[file.uri] = self._workers.start(partial(self._content, file))

    def _content(self, file: FileRecord) -> bytes:
        with open_file(self._rest, file.uri, size=file.size) as opened:
            return opened.read()
