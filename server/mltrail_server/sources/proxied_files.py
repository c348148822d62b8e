"""Files that a tracking server proxies.

https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

from mltrail_server.domain.transfer import Entity, FileRecord, Findings, Loss

from .downloads import open_file
from .http import LostError, Rest

SERVICE = "/api/2.0/mlflow-artifacts/artifacts"
_DEEPEST = 100


class ProxiedFiles:
    """Lists and opens files by the REST API of the given servers."""

    def __init__(self, findings: Findings, servers: Sequence[Rest]) -> None:
        self._findings = findings
        self._servers = servers

    def files(self, address: str, owner: str) -> Iterator[FileRecord]:
        """List the files below a URL, one folder after another."""
        base, _, root = address.partition(SERVICE)
        folder = unquote(root).strip("/")
        if ".." in folder.split("/"):
            raise LostError(f"its files are at {root}, which is outside the folder of all files, so it is not read")
        yield from self._below(self._server(address), base + SERVICE, folder, "", owner)

    def _below(self, server: Rest, service: str, root: str, path: str, owner: str) -> Iterator[FileRecord]:
        if path.count("/") > _DEEPEST:
            raise LostError(f"the folders in {path[:80]}… have no end")
        where = f"{root}/{path}".strip("/")
        for name, one in sorted(_listed(server, service, where), key=lambda one: one[0]):
            if name in {"", ".", ".."}:
                text = f"file {path}{one['path']}: this is not a valid file name"
                self._findings.add(Loss.REFUSED, Entity.FILE, owner, text)
            elif one.get("is_dir"):
                yield from self._below(server, service, root, f"{path}{name}/", owner)
            else:
                size = int(one["file_size"]) if "file_size" in one else None
                yield FileRecord(f"{path}{name}", f"{service}/{quote(f'{where}/{name}'.strip('/'))}", size)

    def open(self, uri: str, size: int | None) -> BinaryIO:
        return open_file(self._server(uri), uri, size=size)

    def _server(self, url: str) -> Rest:
        return next(one for one in self._servers if url.startswith(f"{one.url}/"))


def _listed(server: Rest, service: str, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return names and facts of what is in a folder; nothing, if it does not exist."""
    try:
        files = server.get(service, {"path": path} if path else {}).get("files", [])
    except LostError as error:
        if error.status == 404:
            return
        raise
    for one in files:
        yield str(one["path"]).rpartition("/")[2], one
