"""Files of runs and versions. GitLab keeps them in packages, whose API also tells their digests."""

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from mltrail_server.domain.transfer import Entity, FileRecord, Loss, RunRecord, VersionRecord
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError
from mltrail_server.sources.mlflow_rest.records import whole
from mltrail_server.sources.reading import page

from .project import Project

_GENERIC = re.compile(r"/packages/generic/(ml_experiment_\d+)/(\d+)/?$")
_OF_VERSION = re.compile(r"/packages/ml_models/(\d+)/files/?$")
_OF_RUN = re.compile(r"^mlflow-artifacts:/(candidate:\d+)/?$")


class Files:
    def __init__(self, project: Project) -> None:
        self._project = project

    def of(self, owner: RunRecord | VersionRecord) -> Iterator[FileRecord]:
        """List the files of a run or a version. Raises LostError if GitLab does not tell them."""
        if isinstance(owner, VersionRecord):
            digests = self._digests(owner.model, owner.semver or "")
            yield from self._proxied(str(owner.number), self.name_of(owner), digests)
            return
        uri = owner.artifact_uri
        if found := _GENERIC.search(uri):
            yield from self._generic(found[1], found[2])
        elif found := _OF_VERSION.search(uri):
            yield from self._proxied(found[1], self.name_of(owner), {})
        elif found := _OF_RUN.search(uri):
            version = found[1].replace(":", "_")
            digests = self._digests(f"ml_experiment_{owner.experiment_id}", version)
            yield from self._proxied(found[1], self.name_of(owner), digests)

    @staticmethod
    def name_of(owner: RunRecord | VersionRecord) -> str:
        """Return an owner's name in findings."""
        if isinstance(owner, RunRecord):
            return f"run {owner.id}"
        return f"version {owner.semver or owner.number} of {owner.model}"

    def open(self, file: FileRecord) -> BinaryIO:
        return open_file(self._project.gitlab, file.uri, size=file.size)

    def _proxied(self, folder: str, owner: str, digests: dict[str, str]) -> Iterator[FileRecord]:
        """List what GitLab's MLflow API lists: all files of a folder at once."""
        try:
            found, _ = page(self._project.gitlab.get(self._project.files, {"path": folder}), "files")
        except LostError as error:
            if error.status == 404:  # nothing was ever uploaded
                return
            raise
        for one in sorted(found, key=lambda one: str(one["path"])):
            path = str(one["path"])
            if _is_name(path):
                uri = f"{self._project.files}/{quote(folder, safe=':')}/{quote(path)}"
                yield FileRecord(path, uri, whole(one.get("file_size")), digests.get(path))
            else:
                text = f"{path!r} is no name for a file"
                self._project.findings.add(Loss.REFUSED, Entity.FILE, owner, text)

    def _generic(self, name: str, version: str) -> Iterator[FileRecord]:
        """List files as GitLab before 17 kept them."""
        base = f"{self._project.api}/packages/generic/{quote(name, safe='')}/{quote(version, safe='')}"
        for file in sorted(self._project.package_files("generic", name, version), key=lambda one: one.path):
            if _is_name(file.path):
                yield FileRecord(file.path, f"{base}/{quote(file.path)}", file.size, file.sha256)

    def _digests(self, name: str, version: str) -> dict[str, str]:
        """Return the SHA-256 of a package's files, as far as GitLab tells them: files come over without it, too."""
        try:
            files = self._project.package_files("ml_model", name, version)
        except (LostError, KeyError, TypeError, ValueError):
            return {}
        return {file.path: file.sha256 for file in files if file.sha256}


def _is_name(path: str) -> bool:
    return bool(path) and not path.startswith("/") and not {"", ".", ".."} & set(path.split("/"))
