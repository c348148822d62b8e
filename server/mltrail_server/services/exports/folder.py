"""A folder that is being written: what was written before is kept, and at the end all of it is read once more."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from mltrail_server.domain.errors import conflict
from mltrail_server.domain.transfer import Counts, Entity, FileRecord, Findings, Loss
from mltrail_server.sources.export_folder import names

FORMAT = "mltrail export for mlflow-export-import, 1"
_CHUNK = 1 << 20


@dataclass(slots=True)
class Unit:
    """A folder that appears only when it is complete: a run, a logged model, a trace or a model."""

    path: Path
    files: list[dict[str, Any]] = field(default_factory=list)

    def write_json(self, name: str, content: object) -> None:
        write_json(self.path / name, content)


class Folder:
    """`owner` identifies the project: an unfinished export of it is resumed, and of no other."""

    def __init__(self, root: Path, owner: dict[str, Any], findings: Findings) -> None:
        self.root = root
        self._state = {"format": FORMAT, "project": owner}
        self._findings = findings
        self._seen: set[str] = set()

    def begin(self) -> bool:
        """Make the folder; return whether an unfinished export is resumed. Raises CONFLICT if it has anything else."""
        state = self.root / names.STATE
        if state.exists():
            before = read_state(state)
            if before.get("project") != self._state["project"]:
                raise conflict(f"{self.root} has an export of another project. Choose a new folder.")
            if before.get("complete"):
                raise conflict(f"{self.root} has a complete export of this project. Choose a new folder.")
            for folder in (names.SCORERS, names.DATASETS):
                shutil.rmtree(self.root / folder, ignore_errors=True)
            return True
        if self.root.exists() and any(self.root.iterdir()):
            raise conflict(f"{self.root} is not empty. Choose a new folder, or empty this one.")
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(state, {**self._state, "complete": False})
        return False

    def unit(
        self, path: str, record: object, listed: list[FileRecord], complete: Callable[[Unit, list[FileRecord]], None]
    ) -> list[dict[str, Any]]:
        """Write a folder with a record, which `complete` fills, and return its files. If it is already as it would be
        written, it is left alone.
        """
        self._seen.add(path)
        target = self.root / path
        wanted = as_json(record)
        files = _files_of(target, wanted, listed)
        if files is not None:
            return files
        part = target.with_name(target.name + names.PART)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        unit = Unit(part)
        complete(unit, listed)
        unit.write_json(names.RECORD, {"record": wanted, "files": unit.files})
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
        return unit.files

    def copy(self, unit: Unit, file: FileRecord, stream: BinaryIO) -> None:
        """Copy a file into a unit. Raises `MltrailError` if its size or digest differs from the listed one."""
        shared = not names.can_be_a_file(file.path)
        target = self.root / names.FILES / f"new{names.PART}" if shared else unit.path / names.ARTIFACTS / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with stream, target.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
        sha256 = digest.hexdigest()
        if (file.sha256 or sha256) != sha256 or size != (size if file.size is None else file.size):
            target.unlink()
            raise conflict(f"the file {file.path} is damaged: its size or SHA-256 has changed since it was stored")
        if shared:
            target.replace(self.root / names.FILES / sha256)
        unit.files.append({"path": file.path, "size": size, "sha256": sha256, "shared": shared})

    def write(self, path: str, content: object) -> None:
        write_json(self.root / path, content)

    def finish(self, counts: Counts) -> None:
        """Read everything, note the digests, and mark the export as complete."""
        total = hashlib.sha256()
        part = self.root / f"{names.DIGESTS}{names.PART}"
        with part.open("w", encoding="utf-8") as out:
            for path, digest in self._digests():
                line = f"{digest}  {path}\n"
                total.update(line.encode())
                out.write(line)
        part.replace(self.root / names.DIGESTS)
        found = [{**asdict(one), "loss": one.loss.value, "entity": one.entity.value} for one in self._findings.kept]
        done = {"complete": True, "digests": total.hexdigest(), "findings": found}
        done["counts"] = {entity.value: counts[entity] for entity in Entity if counts[entity]}
        write_json(self.root / names.STATE, {**self._state, **done})

    def _digests(self) -> Iterator[tuple[str, str]]:
        """Read each file and return its digest. Units that this export has not written are removed."""
        units = set()
        for pattern in names.UNITS:
            for unit in sorted(self.root.glob(pattern)):
                path = str(unit.relative_to(self.root))
                if unit.is_dir() and path not in self._seen:
                    shutil.rmtree(unit)  # of an earlier attempt, or not complete
                elif unit.is_dir():
                    units.add(unit)
                    found = dict(self._digests_in(unit, set()))
                    self._compare(unit, found)
                    yield from found.items()
        yield from self._digests_in(self.root, units)

    def _digests_in(self, folder: Path, skipped: set[Path]) -> Iterator[tuple[str, str]]:
        for entry in sorted(folder.iterdir()):
            path = str(entry.relative_to(self.root))
            if entry.is_dir():
                if entry not in skipped:
                    yield from self._digests_in(entry, skipped)
            elif path != names.STATE and not path.startswith(names.DIGESTS):
                with entry.open("rb") as stream:
                    yield path, hashlib.file_digest(stream, "sha256").hexdigest()

    def _compare(self, unit: Path, found: dict[str, str]) -> None:
        """Compare what was read with what the record says."""
        where = unit.relative_to(self.root)
        for one in json.loads((unit / names.RECORD).read_text())["files"]:
            if not one["shared"] and found.get(str(where / names.ARTIFACTS / one["path"])) != one["sha256"]:
                text = f"file {one['path']} was written, but can't be read back as it was"
                self._findings.add(Loss.MISSING, Entity.FILE, str(where), text)


def as_json(record: object) -> dict[str, Any]:
    """Return a record as JSON values. NaN and the infinities stay numbers, which Python's JSON knows."""
    made: dict[str, Any] = json.loads(json.dumps(asdict(record)))  # type: ignore[call-overload] # a dataclass
    return made


def write_json(path: Path, content: object) -> None:
    """Write a file that appears when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + names.PART)
    part.write_text(json.dumps(content, indent=1) + "\n")
    part.replace(path)


def read_state(path: Path) -> dict[str, Any]:
    """Read what an earlier export has noted about the folder. Raises CONFLICT if it can't be read."""
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise conflict(f"{path} can't be read. Choose a new folder.") from error
    return said


def _files_of(target: Path, wanted: dict[str, Any], listed: list[FileRecord]) -> list[dict[str, Any]] | None:
    """Return the files of a complete folder with this record and the listed files; None if there is none."""
    try:
        there = json.loads((target / names.RECORD).read_text())
    except (OSError, ValueError):
        return None
    files: list[dict[str, Any]] = there["files"]
    had = {one["path"]: (one["size"], one["sha256"]) for one in files}
    same = len(had) == len(listed) and all(
        had.get(file.path) == (file.size, file.sha256 or had.get(file.path, (0, ""))[1]) for file in listed
    )
    return files if same and json.dumps(there["record"]) == json.dumps(wanted) else None
