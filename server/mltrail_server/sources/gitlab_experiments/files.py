"""Files of runs and versions. GitLab keeps them in packages, whose API also gives their digests."""

import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO
from urllib.parse import quote

from mltrail_server.domain.transfer import Entity, FileRecord, RunRecord, VersionRecord
from mltrail_server.sources.downloads import open_file
from mltrail_server.sources.http import LostError
from mltrail_server.sources.listings import entries, has_plain_names, refuse
from mltrail_server.sources.reading import page

from .project import GitLabFile, Project
from .registry import Registry

_GENERIC = re.compile(r"/packages/generic/(ml_experiment_\d+)/(\d+)/?$", re.ASCII)
_OF_VERSION = re.compile(r"/packages/ml_models/(\d+)/files/?$", re.ASCII)
_OF_RUN = re.compile(r"(?:^mlflow-artifacts:/|/packages/ml_models/)candidate:(\d+)(/files)?/?$", re.ASCII)
_MODELS = "ml_model"
_LISTS_ALL = (18, 0)
"""The GitLab version from which on, at the latest, a run's URI shows whether it has files."""


class Files:
    def __init__(self, project: Project, registry: Registry) -> None:
        self._project, self._registry = project, registry

    def of(self, owner: RunRecord | VersionRecord) -> Iterator[FileRecord]:
        """List the files of a run or a version. Raises LostError if GitLab does not list them."""
        name = self.name_of(owner)
        if isinstance(owner, VersionRecord):
            yield from self._in_folder(str(owner.number), name, [owner.model], owner.semver or "")
            return
        uri = owner.artifact_uri
        if found := _GENERIC.search(uri):
            yield from self._generic(name, found[1], found[2])
        elif found := _OF_VERSION.search(uri):
            model, semver = self._registry.named(int(found[1]))
            yield from self._in_folder(found[1], name, [model], semver)
        elif found := _OF_RUN.search(uri):
            folder, version = f"candidate:{found[1]}", f"candidate_{found[1]}"
            names = [f"ml_experiment_{owner.experiment_id}", self._project.models_of.get(owner.experiment_id, "")]
            if found[2]:  # where its first file would go; an older GitLab says this of runs with files, too
                yield from self._of_package(folder, name, names, version)
            else:
                yield from self._in_folder(folder, name, names, version)

    @staticmethod
    def name_of(owner: RunRecord | VersionRecord) -> str:
        """Return an owner's name in findings, the same that the import gives it."""
        if isinstance(owner, RunRecord):
            return f"run {owner.id}"
        return f"version {owner.number} of {owner.model}"

    def open(self, file: FileRecord) -> BinaryIO:
        return open_file(self._project.gitlab, file.uri, size=file.size)

    def _in_folder(self, folder: str, owner: str, names: Sequence[str], version: str) -> Iterator[FileRecord]:
        """List what GitLab's MLflow API lists: all files of a folder at once. Before 17.5 it lists none."""
        packaged = self._packaged(names, version)
        try:
            found, _ = page(self._project.gitlab.get(self._project.files, {"path": folder}), "files")
        except LostError as error:
            if error.status != 404 or (packaged is None and not error.error_code):
                raise
            yield from self._by_package(folder, owner, packaged or {})  # none, if nothing was ever uploaded
            return
        sizes = {one.path: one.size for one in entries(found)}
        for path in self._names(owner, sizes):
            uri = f"{self._project.files}/{quote(folder, safe=':')}/{quote(path)}"
            in_package = (packaged or {}).get(path)
            yield FileRecord(path, uri, sizes[path], in_package.sha256 if in_package is not None else None)

    def _of_package(self, folder: str, owner: str, names: Sequence[str], version: str) -> Iterator[FileRecord]:
        packaged = self._packaged(names, version)
        if packaged is None and self._project.version < _LISTS_ALL:
            raise LostError("the project's packages can't be read, and this GitLab lists the files only there")
        yield from self._by_package(folder, owner, packaged or {})

    def _by_package(self, folder: str, owner: str, found: dict[str, GitLabFile]) -> Iterator[FileRecord]:
        base = f"{self._project.api}/packages/ml_models/{quote(folder, safe=':')}/files"
        for path in self._names(owner, found):
            yield FileRecord(path, f"{base}/{quote(path)}", found[path].size, found[path].sha256)

    def _generic(self, owner: str, name: str, version: str) -> Iterator[FileRecord]:
        """List files as GitLab before 17 kept them."""
        base = f"{self._project.api}/packages/generic/{quote(name, safe='')}/{quote(version, safe='')}"
        found = self._project.package_files("generic", name, version)
        for path in self._names(owner, found):
            yield FileRecord(path, f"{base}/{quote(path)}", found[path].size, found[path].sha256)

    def _packaged(self, names: Sequence[str], version: str) -> dict[str, GitLabFile] | None:
        """Return the files of a package by their paths; None if GitLab does not show packages."""
        try:
            for name in filter(None, names):
                if found := self._project.package_files(_MODELS, name, version):
                    return found
        except LostError as error:
            text = "the project's packages can't be read, so files are not compared with GitLab's SHA-256"
            self._project.note(Entity.FILE, "project", f"{text}: {error.message}")
            return None
        return {}

    def _names(self, owner: str, found: dict[str, GitLabFile] | dict[str, int | None]) -> Iterator[str]:
        for path in sorted(found):
            if has_plain_names(path):
                yield path
            else:
                refuse(path, owner, self._project.findings)
