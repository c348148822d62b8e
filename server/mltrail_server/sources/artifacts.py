"""The files of a history, wherever they lie: folders, S3, and a tracking server that proxies its artifacts.

Where files lie is written in a history by whoever logged it, so an import must not read every place that is named
there: otherwise a run whose files are said to lie in `/etc` would fetch them with the operator's rights. Only the
source's own folder and server, and what the operator names, are read.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

from mltrail_server.domain.errors import MltrailError, invalid, not_found
from mltrail_server.domain.transfer import Entity, FileRecord, Findings, GoneError, Loss

from .credentials import Credentials
from .http import Rest
from .local_files import LocalFiles
from .proxied_files import SERVICE, ProxiedFiles
from .s3_files import S3Files

_PROXIED = "mlflow-artifacts:"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ALLOW = "add `--artifacts {where}` to allow it, or `--artifacts {where}=PLACE` if the files are elsewhere now"


class _Files(Protocol):
    """Files at one kind of place. All take addresses of their kind without a slash at the end."""

    def files(self, address: str, owner: str) -> Iterator[FileRecord]:
        """List what is at or below an address. There may be nothing."""
        ...

    def open(self, uri: str, size: int | None) -> BinaryIO:
        """Open a file that `files` has listed. Reading raises `MltrailError` if it has fewer than `size` bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Access:
    """What an import may read, and with which rights.

    `places`: folders or URIs, or `OLD=NEW` where what the history calls OLD is now at NEW. `root`: the folder, bucket
    or tracking server that has the files with `mlflow-artifacts:` URIs and with relative paths. `credentials` are for
    the root, if it is a server.
    """

    places: Sequence[str] = ()
    root: str = ""
    credentials: Credentials = field(default_factory=Credentials)
    s3_endpoint_url: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place that a history calls `named` and that is read at `at`: the same, if the operator only allowed it."""

    named: str
    at: str


class Artifacts:
    """Lists and opens files by the URIs that a history has for them."""

    def __init__(
        self, findings: Findings, access: Access = Access(), *, base: Path | None = None, server: Rest | None = None
    ) -> None:
        """`base` is the source's own folder, `server` its own server."""
        self._findings = findings
        self._base = str(base.resolve()) if base else ""
        self._root = _address(access.root, absolute=True) if access.root else ""
        self._servers = [server] if server else []
        if _scheme(self._root) in {"http", "https"}:
            named = Rest(self._root, access.credentials)
            self._root = named.url
            self._servers.append(named)
        self._server = server.url if server else ""
        self._places = sorted((_place(one) for one in access.places), key=lambda one: -len(one.named))
        self._allowed = [
            *(place.at for place in self._places),
            *(one for one in (self._base, self._root) if one),
            *(_on_server(one.url) for one in self._servers),
        ]
        roots = [Path(one) for one in self._allowed if one.startswith("/")]
        self._local = LocalFiles(findings, roots)
        self._s3 = S3Files(findings, access.s3_endpoint_url)
        self._proxied = ProxiedFiles(findings, self._servers)

    def files(self, uri: str, owner: str, *, expected: bool = False) -> Iterator[FileRecord]:
        """List the files in a folder and its subfolders, with paths relative to it.

        `owner` says in words whose files they are, for findings. What can't be listed becomes a finding, and so does an
        empty folder if files are `expected`.
        """
        found = 0
        try:
            address = self._resolve(uri)
            for file in self._of(address).files(address, owner):
                found += 1
                yield file
        except GoneError:
            raise
        except MltrailError as error:
            self._findings.add(Loss.MISSING, Entity.FILE, owner, error.message)
            return
        if expected and not found:
            text = f"there are no files at {_shown(uri)}; check whether they were moved or deleted"
            self._findings.add(Loss.MISSING, Entity.FILE, owner, text)

    def open(self, file: FileRecord) -> BinaryIO:
        """Open a file, to be read once. Opening or reading it raises `MltrailError` if it can't be read."""
        address = file.uri if _scheme(file.uri) in {"s3", "http", "https"} else _address(file.uri)
        self._check(address, file.uri)
        return self._of(address).open(address, file.size)

    def close(self) -> None:
        for one in self._servers:
            one.close()

    def _of(self, address: str) -> _Files:
        if address.startswith("/"):
            return self._local
        return self._s3 if address.startswith("s3://") else self._proxied

    def _resolve(self, uri: str) -> str:
        """Return the address to read: an absolute path, `s3://…`, or a URL of a server's proxied files."""
        address = _address(uri)
        if ".." in address.split("/"):
            raise invalid(f"{_shown(uri)} leaves its folder by `..`, so it is not read")
        if address in {"", "."}:
            raise invalid("the source does not say where its files are")
        for place in self._places:
            if _is_below(address, place.named):
                return _joined(place.at, address[len(place.named) :].strip("/"))
        if address.startswith(_PROXIED):
            return self._proxied_at(address, uri)
        if not (_scheme(address) or address.startswith("/") or _DRIVE.match(address)):
            if not (self._root or self._base):
                raise not_found(
                    f"its files are at {_shown(uri)}, relative to a folder that only the old server knows: use "
                    "`--artifacts-root` to say where they are"
                )
            return _joined(self._root or self._base, address)
        self._check(address, uri)
        if address in {self._base, self._root}:
            raise invalid(f"{_shown(uri)} is the root folder, not that of one run or model, so it is not read")
        return address

    def _proxied_at(self, address: str, uri: str) -> str:
        """Find what a tracking server proxies: `mlflow-artifacts:/path` or `mlflow-artifacts://host:port/path`."""
        path = address.removeprefix(_PROXIED)
        host = ""
        if path.startswith("//"):
            host, _, path = path[2:].partition("/")
        if host not in {"", urlsplit(self._server).netloc} and not self._root:
            raise not_found(
                f"its files are at {_shown(uri)}, on a server other than the source: use `--artifacts-root` to say "
                "where they are"
            )
        if not (self._root or self._server):
            raise not_found(
                f"its files are at {_shown(uri)}, which the old server proxies: set `--artifacts-root` to its "
                "--artifacts-destination (a folder or bucket) or to the server's URL"
            )
        if not path.strip("/"):
            raise invalid(f"{_shown(uri)} is the root folder, not that of one run or model, so it is not read")
        return _joined(self._root or self._server, path.strip("/"))

    def _check(self, address: str, uri: str) -> None:
        """Raise unless an address is of a known kind, and may be read."""
        scheme = _scheme(address)
        if _DRIVE.match(address):
            raise not_found(
                f"its files are at {_shown(uri)} on a Windows machine: copy them, and add `--artifacts OLD=NEW`"
            )
        if scheme in {"runs", "models", "dbfs"} or (scheme and scheme not in {"s3", "http", "https"}):
            raise not_found(
                f"its files are at {_shown(uri)}, and `{scheme}:` can't be read by an import: copy them to a folder "
                "or to S3, and add `--artifacts OLD=NEW`"
            )
        if not any(_is_below(address, allowed) for allowed in self._allowed):
            where = _shown(uri).split(" ")[0]
            raise not_found(
                f"its files are at {where}, which the import may not read: " + _ALLOW.format(where=_top(address))
            )


def _on_server(address: str) -> str:
    """Return the URL of a tracking server's files, if the address is the server's URL."""
    if _scheme(address) not in {"http", "https"} or SERVICE in address:
        return address
    return f"{address.rstrip('/')}{SERVICE}"


def _place(text: str) -> Place:
    """Read `PLACE` or `OLD=NEW`."""
    named, equals, at = text.partition("=")
    if not named or (equals and not at):
        raise invalid(f"`--artifacts {text}` is neither a place nor OLD=NEW.")
    address = _address(named)
    return Place(address, _address(at, absolute=True) if equals else _address(named, absolute=True))


def _address(uri: str, *, absolute: bool = False) -> str:
    """Normalize a URI or path: a local file gets a path, and nothing ends in a slash.

    With `absolute`, a relative path begins in the current folder, because the operator wrote it.
    """
    scheme = _scheme(uri)
    if scheme == "file":
        rest = uri[len("file:") :]
        if rest.startswith("//"):
            host, _, path = rest[2:].partition("/")
            if host not in {"", "localhost"}:
                raise not_found(
                    f"its files are at {_shown(uri)}, in a folder on another machine: copy them, and add `--artifacts "
                    "OLD=NEW`"
                )
            rest = f"/{path}"
        uri, scheme = unquote(rest), ""
    if scheme or _DRIVE.match(uri):
        return uri.rstrip("/")
    if absolute:
        return str(Path(uri).expanduser().resolve())
    return re.sub(r"/{2,}", "/", uri).removeprefix("./").rstrip("/") if ".." in uri else posixpath.normpath(uri)


def _scheme(uri: str) -> str:
    found = _SCHEME.match(uri)
    return found[1].lower() if found and not _DRIVE.match(uri) else ""


def _is_below(address: str, place: str) -> bool:
    return address == place or address.startswith(place.rstrip("/") + "/")


def _joined(place: str, path: str) -> str:
    if _scheme(place) in {"http", "https"}:
        place, path = _on_server(place), quote(path)
    return f"{place.rstrip('/')}/{path}".rstrip("/")


def _top(address: str) -> str:
    """Return what an operator would allow: the bucket, or the folder of all experiments."""
    if _scheme(address):
        parts = urlsplit(address)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    folders = address.split("/")
    return "/".join(folders[:-3]) if len(folders) > 4 else address


def _shown(uri: str) -> str:
    """Return a URI without user name, password and what may hold a signature."""
    if not _scheme(uri):
        return uri
    head = uri.split("?", maxsplit=1)[0]
    return re.sub(r"//[^/@]*@", "//", head)
