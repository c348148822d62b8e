"""Files that a tracking server proxies.

https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

import requests
import urllib3

from mltrail_server.domain.errors import not_found, unavailable
from mltrail_server.domain.transfer import Entity, FileRecord, Findings, Loss

from .streams import checked

SERVICE = "/api/2.0/mlflow-artifacts/artifacts"
_DEEPEST = 100
_SECONDS = (10, 120)


class ProxiedFiles:
    """Lists and opens files by a server's REST API. Only the given ones get the token or the login."""

    def __init__(
        self, findings: Findings, servers: Sequence[str], *, token: str, login: tuple[str, str] | None
    ) -> None:
        self._findings = findings
        self._servers = servers
        self._session = requests.Session()
        self._session.trust_env = False
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._login = login

    def files(self, address: str, owner: str) -> Iterator[FileRecord]:
        base, _, root = address.partition(SERVICE)
        yield from self._below(base + SERVICE, unquote(root).strip("/"), "", owner)

    def _below(self, service: str, root: str, path: str, owner: str) -> Iterator[FileRecord]:
        if path.count("/") > _DEEPEST:
            raise unavailable(f"the folders in {path[:80]}… have no end")
        where = f"{root}/{path}".strip("/")
        response = self._get(service, params={"path": where})
        try:
            listed: list[dict[str, Any]] = response.json().get("files", [])
        except (ValueError, AttributeError) as error:
            raise unavailable(f"{service} has sent no list of files. Is this an MLflow server?") from error
        for one in sorted(listed, key=lambda one: str(one["path"])):
            name = str(one["path"]).rpartition("/")[2]
            if name in {"", ".", ".."}:
                text = f"file {path}{one['path']}: this is no name for a file"
                self._findings.add(Loss.REFUSED, Entity.FILE, owner, text)
            elif one.get("is_dir"):
                yield from self._below(service, root, f"{path}{name}/", owner)
            else:
                size = int(one["file_size"]) if "file_size" in one else None
                yield FileRecord(f"{path}{name}", f"{service}/{quote(f'{where}/{name}'.strip('/'))}", size)

    def open(self, uri: str, size: int | None) -> BinaryIO:
        response = self._get(uri, stream=True)
        response.raw.decode_content = True
        return checked(uri, response.raw, size, urllib3.exceptions.HTTPError, OSError)

    def _get(self, url: str, *, params: dict[str, str] | None = None, stream: bool = False) -> requests.Response:
        ours = any(url.startswith(f"{server}/") for server in self._servers)
        try:
            response = self._session.get(
                url,
                params=params,
                stream=stream,
                headers=self._headers if ours else {},
                auth=self._login if ours else None,
                timeout=_SECONDS,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise unavailable(f"{url} can't be read: the server does not respond") from error
        if response.status_code == requests.codes.not_found:
            raise not_found(f"{url} is not there")
        if response.status_code != requests.codes.ok:
            raise unavailable(f"{url} can't be read: the server answers {response.status_code}")
        return response
