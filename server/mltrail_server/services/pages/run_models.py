"""The models that a run has logged: MLflow 3's logged models, and folders with an MLmodel file, as older clients log
them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.reasons import Reason
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.files import integrity, model_files
from mltrail_server.services.registry import versions
from mltrail_server.services.tracking import logged_models
from mltrail_server.services.tracking.logged_models import LoggedModelData
from mltrail_server.store.files import files as file_store
from mltrail_server.store.files.files import File
from mltrail_server.store.pages import files as pages_store
from mltrail_server.store.registry.versions import Version
from mltrail_server.store.tracking import logged_models as store

from . import candidate
from .candidate import CandidateView

MOST = 20
_MLMODEL = "MLmodel"
_MOST_EXAMPLE = 20_000


@dataclass(frozen=True, slots=True)
class RunModel:
    """A model of a run. `logged` is None for one of an older client, whose files are in the run's folder `path`.
    `described` is the content of its MLmodel file, empty if that can't be read; `example` is the beginning of its input
    example.
    """

    path: str
    logged: LoggedModelData | None
    described: Mapping[str, Any]
    example_path: str
    example: bytes
    versions: Sequence[Version]


def of_run(scope: Scope, view: CandidateView) -> list[RunModel]:
    """List up to 20 models of a run. Each costs up to two files to read."""
    one = view.run.candidate
    made = versions.search(scope, filter_text=f"run_id = '{one.eid}'", limit=100).items
    known, _ = logged_models.search(
        scope,
        experiment_iids=[one.experiment_iid],
        filter_text=f"source_run_id = '{one.eid}'",
        datasets=[],
        orders=[],
        limit=MOST,
        token=None,
    )
    found = []
    for data in known:
        root = Owner(one.experiment_iid, logged_model_id=data.model.model_id).folder
        of_it = [version for version in made if version.logged_model_id == data.model.model_id]
        found.append(_read(scope, [root], "", data, of_it))
    roots = candidate.folders(one)
    for folder in _folders(scope, roots) if not one.elsewhere else ():
        of_it = [version for version in made if version.source.rstrip("/").endswith(f"{one.eid}/{folder}")]
        found.append(_read(scope, roots, folder, None, of_it))
    return found[:MOST]


def roots_of(scope: Scope, view: CandidateView, model_id: str) -> list[str]:
    """Return the folder with the files of a run's logged model. Raises NOT_FOUND if the run has no such model."""
    with scope.project.read() as tx:
        model = store.get(tx, model_id)
    if model is None or model.source_eid != view.run.candidate.eid or model.elsewhere:
        raise not_found(Reason.NO_LOGGED_MODEL, model_id=model_id)
    return [Owner(model.experiment_iid, logged_model_id=model_id).folder]


def _folders(scope: Scope, roots: Sequence[str]) -> list[str]:
    with scope.project.read() as tx:
        found = pages_store.of_kinds(tx, roots, [f"/{_MLMODEL}"], limit=MOST)
    return [path.rpartition("/")[0] for path, _ in found]


def _read(
    scope: Scope, roots: Sequence[str], folder: str, data: LoggedModelData | None, made: Sequence[Version]
) -> RunModel:
    inside = [f"{root}/{folder}" if folder else root for root in roots]
    mlmodel = _file(scope, inside, _MLMODEL)
    files = {_MLMODEL: mlmodel} if mlmodel is not None else {}
    described = model_files.described(scope.deps, scope.project_id, files)
    info = described.get("saved_input_example_info")
    name = info.get("artifact_path") if isinstance(info, dict) else None
    example = _file(scope, inside, name) if isinstance(name, str) else None
    body = b"" if example is None else integrity.content(scope.deps, scope.project_id, example, most=_MOST_EXAMPLE)
    return RunModel(folder, data, described, name if example is not None and isinstance(name, str) else "", body, made)


def _file(scope: Scope, folders: Sequence[str], name: str) -> File | None:
    with scope.project.read() as tx:
        for folder in folders:
            file = file_store.get(tx, f"{folder}/{name}")
            if file is not None:
                return file
    return None
