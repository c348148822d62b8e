"""What the MLmodel files of several models say. Stored bytes never change, so what was read once is kept."""

from collections import OrderedDict
from collections.abc import Collection
from threading import Lock

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.mlmodel import ModelDescription, described
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.files import model_files
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File

_MLMODEL = "MLmodel"
_MOST_KEPT = 2000


class _Kept:
    """The last descriptions that were read, by project and blob."""

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[ProjectId, str], ModelDescription] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[ProjectId, str]) -> ModelDescription | None:
        with self._lock:
            return self._found.get(key)

    def put(self, key: tuple[ProjectId, str], one: ModelDescription) -> None:
        with self._lock:
            self._found[key] = one
            while len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)


_KEPT = _Kept()


def of_folders(tx: Transaction, deps: Deps, folders: Collection[str]) -> dict[str, ModelDescription]:
    """Describe the models in some folders, in one statement; folders without an MLmodel file are left out."""
    found = files.of_paths(tx, [f"{folder}/{_MLMODEL}" for folder in folders if folder])
    return {file.path.removesuffix(f"/{_MLMODEL}"): _read(tx.project_id, deps, file) for file in found}


def _read(project_id: ProjectId, deps: Deps, file: File) -> ModelDescription:
    known = _KEPT.get((project_id, file.blob_id))
    if known is None:
        known = described(model_files.described(deps, project_id, {_MLMODEL: file}))
        if known != ModelDescription():  # a file store that did not answer says as little as an empty file
            _KEPT.put((project_id, file.blob_id), known)
    return known
