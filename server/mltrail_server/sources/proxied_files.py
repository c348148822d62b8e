"""Files that a tracking server proxies.

https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

from collections.abc import Iterator, Sequence
from typing import BinaryIO
from urllib.parse import quote, unquote

from mltrail_server.domain.transfer import FileRecord, Findings

from .downloads import open_file
from .http import LostError, Rest
from .listings import files_below
from .reading import Json, page

SERVICE = "/api/2.0/mlflow-artifacts/artifacts"


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
        server, service = self._server(address), base + SERVICE

        def listing(path: str) -> Iterator[list[Json]]:
            yield _listed(server, service, f"{folder}/{path}".strip("/"))

        for path, size in files_below(listing, owner, self._findings):
            yield FileRecord(path, f"{service}/{quote(f'{folder}/{path}'.lstrip('/'))}", size)

    def open(self, uri: str, size: int | None) -> BinaryIO:
        return open_file(self._server(uri), uri, size=size)

    def _server(self, url: str) -> Rest:
        return next(one for one in self._servers if url.startswith(f"{one.url}/"))


def _listed(server: Rest, service: str, path: str) -> list[Json]:
    """Return what is in a folder; nothing, if it does not exist."""
    try:
        return page(server.get(service, {"path": path} if path else {}), "files")[0]
    except LostError as error:
        if error.status == 404:
            return []
        raise
