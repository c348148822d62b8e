"""Where a candidate's model lies, and what its MLmodel file says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from mltrail_server.domain import paths
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Deps
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.files.files import File
from mltrail_server.store.registry import sources
from mltrail_server.store.tracking import candidates, inputs
from mltrail_server.store.tracking.inputs import Direction

from . import integrity

_MLMODEL = "MLmodel"
_MOST_BYTES = 131_072
"""Larger ones are not worth the time that YAML takes."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The files of a model: `location` is their folder, `source` how MLflow names it."""

    source: str
    location: str
    logged_model_id: str | None
    files: tuple[File, ...]


def of_candidate(tx: Transaction, candidate_iid: int, *, snapshot_iid: int | None = None) -> ModelFiles | None:
    """Find the model that a candidate has logged: MLflow 3's logged model, or a folder with an MLmodel file.

    A logged model that another run made is not this candidate's, even if it says to have given it out; nor is one that
    others than its own jobs have logged to it. With `snapshot_iid` the model as it was then is found.
    """
    candidate = candidates.get_by_iid(tx, candidate_iid)
    if candidate is None:
        return None
    counts = candidate_iid if snapshot_iid is None else snapshot_iid
    linked = inputs.models_of(tx, [counts]).get(counts, [])
    for model_id in [link.model_id for link in linked if link.direction is Direction.OUTPUT][::-1]:
        logged = sources.logged_model(tx, model_id)
        if logged is None or logged.source_eid != candidate.eid or logged.beside:
            continue
        folder = f"{logged.experiment_iid}/models/{model_id}/artifacts"
        if snapshot_iid is not None:
            folder = f"{paths.beside(snapshot_iid)}/models/{model_id}"
        found = files.below(tx, folder)
        if any(file.path == f"{folder}/{_MLMODEL}" for file in found):
            return ModelFiles(f"models:/{model_id}", folder, model_id, tuple(found))
    root = f"{candidate.experiment_iid}/{candidate.eid}/artifacts"
    if snapshot_iid is not None:
        root = f"{paths.beside(snapshot_iid)}/artifacts"
    below = files.below(tx, root)
    for file in below:
        folder, _, base = file.path.rpartition("/")
        if base == _MLMODEL:
            inside = tuple(one for one in below if one.path.startswith(f"{folder}/"))
            return ModelFiles(f"runs:/{candidate.eid}/{folder.removeprefix(root).strip('/')}", folder, None, inside)
    return None


def described(deps: Deps, project_id: ProjectId, held: Mapping[str, File]) -> Mapping[str, Any]:
    """Decode the MLmodel file of a folder, given its files by name; empty when it can't be read."""
    file = held.get(_MLMODEL)
    if file is None or file.size > _MOST_BYTES:
        return {}
    try:
        found = yaml.load(integrity.content(deps, project_id, file, most=_MOST_BYTES), Loader=_LOADER)  # noqa: S506 - a safe one
    except (yaml.YAMLError, MltrailError, RecursionError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def by_name(held: tuple[File, ...], folder: str) -> dict[str, File]:
    """Name files relative to their folder."""
    return {file.path.removeprefix(f"{folder}/"): file for file in held}
