"""Folders and small files of an `./mlruns`: what can't be read is a finding, and symbolic links lead nowhere else.

FileStore keeps each parameter, tag and metric in a file of its own. Its path is the key: `opt/lr` is a file `lr` in a
folder `opt`.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from mltrail_server.domain.transfer import Entity, Findings, Loss

META = "meta.yaml"
_LARGEST = 16 << 20
_DEEPEST = 60
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Tree:
    def __init__(self, root: Path, findings: Findings) -> None:
        self.root = Path(os.path.realpath(root))
        self._findings = findings

    def folders(self, folder: Path, owner: str, entity: Entity) -> list[Path]:
        """Return the folders in a folder by name; none if it does not exist."""
        return [Path(entry.path) for entry in self._entries(folder, owner, entity) if entry.is_dir()]

    def keys(self, folder: Path, owner: str, entity: Entity, prefix: str = "") -> Iterator[tuple[str, Path]]:
        """Return the keys below a folder, and their files."""
        for entry in self._entries(folder, owner, entity):
            name = f"{prefix}{entry.name}"
            if not _is_text(name):
                self._findings.add(Loss.MISSING, entity, owner, f"the name of the file {name!a} is not UTF-8")
            elif entry.is_dir():
                if name.count("/") < _DEEPEST:
                    yield from self.keys(Path(entry.path), owner, entity, f"{name}/")
                else:
                    self._findings.add(Loss.MISSING, entity, owner, f"the folders in {folder} have no end")
            else:
                yield name, Path(entry.path)

    def texts(self, folder: Path, owner: str, entity: Entity) -> dict[str, str]:
        """Return the values below a folder by their keys."""
        values = {}
        for key, file in self.keys(folder, owner, entity):
            value = self.text(file, owner, entity)
            if value is not None:
                values[key] = value
        return values

    def text(self, file: Path, owner: str, entity: Entity) -> str | None:
        """Return a file's content, or None with a finding."""
        try:
            with file.open("rb") as stream:
                content = stream.read(_LARGEST + 1)
        except OSError as error:
            self._findings.add(Loss.MISSING, entity, owner, f"{self._name(file)} can't be read ({error.strerror})")
            return None
        if len(content) > _LARGEST:
            self._findings.add(Loss.REFUSED, entity, owner, f"{self._name(file)} is larger than {_LARGEST:,} bytes")
            return None
        try:
            return content.decode()
        except UnicodeDecodeError:
            text = f"{self._name(file)} is not UTF-8; it was read as Latin-1: check it"
            self._findings.add(Loss.CHANGED, entity, owner, text)
            return content.decode("latin-1")

    def yaml(self, file: Path, owner: str, entity: Entity) -> dict[str, Any] | None:
        """Return what a YAML file says, or None with a finding."""
        content = self.text(file, owner, entity)
        if content is None:
            return None
        try:
            read = yaml.load(content, _LOADER)  # noqa: S506 - one of the two safe loaders
        except (yaml.YAMLError, ValueError, RecursionError):
            self._findings.add(Loss.MISSING, entity, owner, f"{self._name(file)} is not YAML: it may be cut off")
            return None
        if not isinstance(read, dict):
            what = "is empty" if read is None else "has no keys"
            self._findings.add(Loss.MISSING, entity, owner, f"{self._name(file)} {what}")
            return None
        return {str(key): value for key, value in read.items()}

    def has(self, file: Path) -> bool:
        return os.path.lexists(file)

    def _entries(self, folder: Path, owner: str, entity: Entity) -> "list[os.DirEntry[str]]":
        try:
            entries = sorted(os.scandir(folder), key=lambda one: one.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            text = f"the folder {self._name(folder)} can't be read ({error.strerror})"
            self._findings.add(Loss.MISSING, entity, owner, text)
            return []
        return [entry for entry in entries if not entry.is_symlink() or self._leads_inside(entry, owner, entity)]

    def _leads_inside(self, entry: "os.DirEntry[str]", owner: str, entity: Entity) -> bool:
        real = Path(os.path.realpath(entry.path))
        inside = self.root in real.parents and real not in Path(os.path.realpath(Path(entry.path).parent)).parents
        if not inside:
            text = (
                f"{self._name(Path(entry.path))} is a symbolic link that points outside the folder or to itself, so "
                "it is not read: replace it with what it points to"
            )
            self._findings.add(Loss.REFUSED, entity, owner, text)
        return inside

    def _name(self, path: Path) -> str:
        try:
            return str(path.relative_to(self.root)).encode(errors="replace").decode()
        except ValueError:
            return ascii(str(path))


def text_of(meta: dict[str, Any], *keys: str) -> str | None:
    """Return the first of these keys that has a value, as a text."""
    for key in keys:
        value = meta.get(key)
        if value is not None and not isinstance(value, dict | list):
            return str(value)
    return None


def number_of(meta: dict[str, Any], *keys: str) -> int | None:
    """Return the first of these keys that has a whole number."""
    for key in keys:
        value = meta.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, str) and value.strip().lstrip("-").isdecimal():
            return int(value)
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
