"""A file on another server, read once. What is lost when a connection breaks is fetched again."""

import io
import re
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urljoin, urlsplit

import requests

from .http import LostError, Query, Rest
from .redirects import leads_inside

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE = 262_144
_MOST_REDIRECTS = 3
_FROM = re.compile(r"bytes (\d+)-")


def open_file(rest: Rest, path: str, query: Query = (), *, size: int | None = None) -> BinaryIO:
    """Open a file. Opening it, or a read, raises LostError if it can't be read, or does not have exactly `size` bytes,
    and GoneError if the server is gone. A body that breaks off is continued where it ended.
    """
    return cast("BinaryIO", io.BufferedReader(_Download(rest, path, query, size), _PIECE))


class _Download(io.RawIOBase):
    def __init__(self, rest: Rest, path: str, query: Query, size: int | None) -> None:
        self._rest, self._path, self._query, self._size = rest, path, query, size
        self._call = f"GET {rest.path_of(path)}"
        self._done = 0
        self._attempts = 0
        self._tag = ""
        self._answer = self._open()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer).cast("B")
        while True:
            try:
                piece = self._read(self._answer, len(view))
            except LostError as failure:
                self._fail(failure)
                self._answer = self._open()
                continue
            view[: len(piece)] = piece
            self._done += len(piece)
            if not piece or (self._size is not None and self._done > self._size):
                self._check_size()
            return len(piece)

    def close(self) -> None:
        self._answer.close()
        super().close()

    def _read(self, answer: requests.Response, most: int) -> bytes:
        with self._rest.breaking(self._call):
            piece: bytes = answer.raw.read(most, decode_content=True)
        return piece

    def _fail(self, failure: LostError) -> None:
        self._attempts += 1
        self._rest.endure(failure, self._attempts)

    def _open(self) -> requests.Response:
        while True:
            try:
                answer = self._ask()
            except LostError as failure:
                self._fail(failure)
            else:
                return answer

    def _ask(self) -> requests.Response:
        """Ask for the file, or for what is still missing of it."""
        headers = {"Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
            headers |= {"If-Range": self._tag} if self._tag else {}
        answer = self._follow(self._rest.send("GET", self._path, self._query, headers=headers), headers)
        try:
            self._rest.check(self._call, answer)
            self._go_to_where_it_was(answer)
        except BaseException:
            answer.close()
            raise
        return answer

    def _follow(self, answer: requests.Response, headers: dict[str, str]) -> requests.Response:
        """Follow redirects to a file: servers send clients to where it is stored. A sign-in page is not a file."""
        for _ in range(_MOST_REDIRECTS):
            if not answer.is_redirect:
                break
            there = urljoin(answer.url, answer.headers["Location"])
            if urlsplit(answer.url).scheme == "https" and urlsplit(there).scheme != "https":
                break
            if leads_inside(self._rest.url, there):
                answer.close()
                raise LostError(
                    f"{self._call} redirects to a network that is closer to this machine than the server is, so the "
                    f"redirect was not followed: {urlsplit(there).hostname}."
                )
            followed = self._rest.send("GET", there, headers=headers)
            if followed.headers.get("Content-Type", "").startswith("text/html"):
                followed.close()
                break
            answer.close()
            answer = followed
        return answer

    def _go_to_where_it_was(self, answer: requests.Response) -> None:
        tag = answer.headers.get("ETag", "")
        tag = "" if tag.startswith("W/") else tag  # a weak one does not promise the same bytes
        if self._tag and tag != self._tag:
            raise LostError(f"The file was replaced at the server during {self._call}.", status=answer.status_code)
        self._tag = tag
        start = _FROM.match(answer.headers.get("Content-Range", "")) if answer.status_code == 206 else None
        skip = self._done - int(start[1] if start else 0)
        while skip > 0:
            piece = self._read(answer, min(skip, _PIECE))
            if not piece:
                raise LostError(f"{self._call} returned less than before.", passing=True)
            skip -= len(piece)

    def _check_size(self) -> None:
        if self._size is not None and self._done != self._size:
            raise LostError(f"{self._call} returned {self._done} bytes of a file with {self._size}.")
        self._rest.is_well()
