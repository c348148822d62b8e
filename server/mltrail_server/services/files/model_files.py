"""The model that a candidate has logged: where its files are, and what its MLmodel file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File
from mltrail_server.store.registry import sources
from mltrail_server.store.tracking import candidates, inputs
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Direction

from . import integrity

_MLMODEL = "MLmodel"
_MOST_MLMODEL_BYTES = 131_072
"""Parsing a larger file as YAML would take too long."""
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model: `location` is their folder, `source` how MLflow names it."""

    source: str
    location: str
    logged_model_id: str | None
    files: tuple[File, ...]


def of_candidate(tx: Transaction, candidate_iid: int, *, snapshot_iid: int | None = None) -> ModelFiles | None:
    """Return the model that a candidate has logged: MLflow 3's logged model, or else a folder with an MLmodel file.

    A logged model of another run does not count, even if the candidate names it as its output; nor does one that others
    than its own jobs have logged to it. With `snapshot_iid` it is the model as it was when the snapshot was taken.
    """
    candidate = candidates.get_by_iid(tx, candidate_iid)
    if candidate is None:
        return None
    return _logged_model(tx, candidate, snapshot_iid) or _folder_with_model(tx, candidate, snapshot_iid)


def whole_run(tx: Transaction, candidate_iid: int, *, snapshot_iid: int | None = None) -> ModelFiles | None:
    """Return all files of a candidate, for one that is promoted without a model: there may be none."""
    candidate = candidates.get_by_iid(tx, candidate_iid)
    if candidate is None:
        return None
    root = Owner(candidate.experiment_iid, candidate.eid).folder_in(snapshot_iid)
    return ModelFiles(f"runs:/{candidate.eid}", root, None, tuple(files.below(tx, root)))


def described(deps: Deps, project_id: ProjectId, files_by_name: Mapping[str, File]) -> Mapping[str, Any]:
    """Decode the MLmodel file of a model, given its files by name; empty if it can't be read."""
    file = files_by_name.get(_MLMODEL)
    if file is None or file.size > _MOST_MLMODEL_BYTES:
        return {}
    try:
        content = yaml.load(integrity.content(deps, project_id, file, most=_MOST_MLMODEL_BYTES), Loader=_YAML_LOADER)  # noqa: S506 - a safe one
    except (yaml.YAMLError, MltrailError, RecursionError, UnicodeDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def by_name(some: tuple[File, ...], folder: str) -> dict[str, File]:
    """Return files by their name relative to a folder."""
    return {file.path.removeprefix(f"{folder}/"): file for file in some}


def _logged_model(tx: Transaction, candidate: Candidate, snapshot_iid: int | None) -> ModelFiles | None:
    number = candidate.iid if snapshot_iid is None else snapshot_iid
    links = inputs.models_of(tx, [number]).get(number, [])
    for model_id in [link.model_id for link in links if link.direction is Direction.OUTPUT][::-1]:
        model = sources.logged_model(tx, model_id)
        if model is None or model.source_eid != candidate.eid or model.beside:
            continue
        folder = Owner(model.experiment_iid, logged_model_id=model_id).folder_in(snapshot_iid)
        inside = files.below(tx, folder)
        if any(file.path == f"{folder}/{_MLMODEL}" for file in inside):
            return ModelFiles(f"models:/{model_id}", folder, model_id, tuple(inside))
    return None


def _folder_with_model(tx: Transaction, candidate: Candidate, snapshot_iid: int | None) -> ModelFiles | None:
    root = Owner(candidate.experiment_iid, candidate.eid).folder_in(snapshot_iid)
    below = files.below(tx, root)
    for file in below:
        folder, _, base = file.path.rpartition("/")
        if base == _MLMODEL:
            inside = tuple(other for other in below if other.path.startswith(f"{folder}/"))
            return ModelFiles(f"runs:/{candidate.eid}/{folder.removeprefix(root).strip('/')}", folder, None, inside)
    return None
