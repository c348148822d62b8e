"""JSON files of an export: what can't be read is a finding."""

import json
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mltrail_server.domain.transfer import Entity, Findings, Loss

from . import names

Record = TypeVar("Record")


class JsonFiles:
    def __init__(self, root: Path, findings: Findings) -> None:
        self._root = root
        self._findings = findings

    def read(self, file: Path, owner: str, entity: Entity) -> Any:  # noqa: ANN401 - any JSON value
        """Return the content, or None with a finding."""
        try:
            return json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            text = f"{file.relative_to(self._root)} can't be read: {why(error)}"
            self._findings.add(Loss.MISSING, entity, owner, text)
            return None

    def members(self, file: Path, owner: str, entity: Entity) -> dict[str, Any]:
        """Return an object's members; none, with a finding, if there is no object."""
        said = self.read(file, owner, entity)
        if said is not None and not isinstance(said, dict):
            text = f"{file.relative_to(self._root)} is not in mlflow-export-import's format"
            self._findings.add(Loss.MISSING, entity, owner, text)
        return said if isinstance(said, dict) else {}

    def record(self, folder: Path, kind: type[Record], owner: str, entity: Entity) -> Record | None:
        """Return what mltrail has written about a folder. Returns None if it has written nothing, or, with a finding,
        if that can't be read.
        """
        if not (folder / names.RECORD).exists():
            return None
        return self.converted(self.members(folder / names.RECORD, owner, entity).get("record"), kind, owner, entity)

    def converted(self, said: object, kind: type[Record], owner: str, entity: Entity) -> Record | None:
        """Return JSON as a record of this kind, or None with a finding."""
        try:
            return msgspec.convert(said, kind)
        except msgspec.ValidationError as error:
            text = f"{names.RECORD} is not in mltrail's format: {error}"
            self._findings.add(Loss.MISSING, entity, owner, text)
            return None


def why(error: Exception) -> str:
    """Say in a few words why a file could not be read."""
    if isinstance(error, OSError):
        return str(error.strerror or error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON, or is cut off ({error.msg} in line {error.lineno})"
    return f"{type(error).__name__}: {error}"[:200]
