"""The registry in an `./mlruns` folder: `models/<name>/version-<number>`, with aliases and tags."""

from collections.abc import Iterator
from pathlib import Path

from mltrail_server.domain.transfer import Entity, Findings, Loss, ModelRecord, VersionRecord

from .tree import META, Tree, number_of, text_of

MODELS = "models"
_VERSION = "version-"
_DELETED = "Deleted_Internal"


class Registry:
    def __init__(self, tree: Tree, findings: Findings) -> None:
        self._tree = tree
        self._findings = findings
        self._folders: dict[str, Path] = {}

    def models(self) -> Iterator[ModelRecord]:
        for folder in self._tree.folders(self._tree.root / MODELS, "the registry", Entity.MODEL):
            owner = f"model {folder.name}"
            numbers = [number for number, _ in self._numbered(folder, owner)]
            meta = {}
            if self._tree.has(folder / META):
                meta = self._tree.yaml(folder / META, owner, Entity.MODEL) or {}
            elif numbers:
                self._findings.add(Loss.CHANGED, Entity.MODEL, owner, f"it has no {META}: its times are not known")
            else:
                continue  # not a model
            name = text_of(meta, "name") or folder.name
            self._folders[name] = folder
            yield ModelRecord(
                name=name,
                created_ms=number_of(meta, "creation_timestamp"),
                updated_ms=number_of(meta, "last_updated_timestamp"),
                description=text_of(meta, "description"),
                tags=self._tree.texts(folder / "tags", owner, Entity.MODEL),
                aliases=self._aliases(folder, owner, set(numbers)),
                last_number=max(numbers, default=None),
            )

    def versions(self, model: ModelRecord) -> Iterator[VersionRecord]:
        folder = self._folders.get(model.name, self._tree.root / MODELS / model.name)
        for number, version in self._numbered(folder, f"model {model.name}"):
            owner = f"version {number} of {model.name}"
            meta = self._tree.yaml(version / META, owner, Entity.VERSION)
            if meta is None or meta.get("current_stage") == _DELETED:
                continue
            yield VersionRecord(
                model=model.name,
                number=number,
                created_ms=number_of(meta, "creation_timestamp"),
                updated_ms=number_of(meta, "last_updated_timestamp"),
                source=text_of(meta, "source") or "",
                storage_location=text_of(meta, "storage_location"),
                run_id=text_of(meta, "run_id") or None,
                run_link=text_of(meta, "run_link") or None,
                logged_model_id=text_of(meta, "model_id") or None,
                description=text_of(meta, "description"),
                user=text_of(meta, "user_id") or "",
                stage=text_of(meta, "current_stage") or "None",
                status=text_of(meta, "status") or "READY",
                status_message=text_of(meta, "status_message") or None,
                tags=self._tree.texts(version / "tags", owner, Entity.VERSION),
            )

    def count(self) -> tuple[int, int]:
        """Return how many models there are, and how many folders of versions, without reading them."""
        folders = self._tree.folders(self._tree.root / MODELS, "the registry", Entity.MODEL)
        return len(folders), sum(len(self._numbered(folder, "")) for folder in folders)

    def _numbered(self, folder: Path, owner: str) -> list[tuple[int, Path]]:
        """Return the model's versions, also those that were deleted, lowest number first."""
        found = []
        for version in self._tree.folders(folder, owner, Entity.VERSION):
            digits = version.name.removeprefix(_VERSION)
            if version.name.startswith(_VERSION) and digits.isascii() and digits.isdigit():
                found.append((int(digits), version))
        return sorted(found)

    def _aliases(self, folder: Path, owner: str, numbers: set[int]) -> dict[str, int]:
        aliases = {}
        for alias, pointed in self._tree.texts(folder / "aliases", owner, Entity.ALIAS).items():
            number = pointed.strip()
            if number.isascii() and number.isdigit() and int(number) in numbers:
                aliases[alias] = int(number)
            else:
                text = f"alias {alias} points to version {number[:20]!r}, which does not exist"
                self._findings.add(Loss.MISSING, Entity.ALIAS, owner, text)
        return aliases
