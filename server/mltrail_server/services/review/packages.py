"""Packages whose versions differ between the environments of a merge request's model and of its baseline."""

from collections.abc import Iterable
from dataclasses import replace

from mltrail_server.domain import environment
from mltrail_server.domain.comparison import changed_parameters
from mltrail_server.domain.environment import PYTHON, REQUIREMENTS
from mltrail_server.domain.errors import MltrailError
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.tracking import candidates, inputs
from mltrail_server.store.tracking.inputs import Direction

from .judge import ModelReport
from .reports import Report

_MOST_MODELS = 5
_MOST_BYTES = 65_536
_FOLDER = "model"
"""Where MLflow 2 stores a model by default; MLflow 3 stores each in a folder of its own."""


def with_packages(ci: Ci, report: Report) -> Report:
    """Add to a report that is ready how the environments differ. Three statements, and a few small files."""
    if report.state != "ready":
        return report
    wanted = {model.name: sides for model in report.models[:_MOST_MODELS] if (sides := _sides(model)) is not None}
    with ci.project.read() as tx:
        files = _files(tx, {iid for sides in wanted.values() for iid in sides})
    models = []
    for model in report.models:
        before, now = (files.get(iid, {}) for iid in wanted.get(model.name, (0, 0)))
        changed = []
        if before and now and _digests(before) != _digests(now):
            changed = changed_parameters(_versions(ci, before), _versions(ci, now))
        models.append(replace(model, environment=tuple(changed)))
    return replace(report, models=tuple(models))


def _sides(model: ModelReport) -> tuple[int, int] | None:
    """Return the runs that represent the baseline and this side."""
    compared = model.comparison
    if compared.baseline is None or compared.best_run is None:
        return None
    return compared.baseline.runs[-1].iid, compared.best_run.iid


def _files(tx: Transaction, iids: Iterable[int]) -> dict[int, dict[str, File]]:
    """Find the files that describe the environments of these runs' models, by run and name."""
    runs = candidates.of_iids(tx, sorted(iids))
    links = inputs.models_of(tx, [run.iid for run in runs])
    folders: dict[str, int] = {}
    for run in runs:
        folders[f"{run.experiment_iid}/{run.eid}/artifacts/{_FOLDER}"] = run.iid
        for link in links.get(run.iid, ()):
            if link.direction is Direction.OUTPUT:
                folders[f"{run.experiment_iid}/models/{link.model_id}/artifacts"] = run.iid
    paths = [f"{folder}/{name}" for folder in folders for name in (REQUIREMENTS, PYTHON)]
    by_run: dict[int, dict[str, File]] = {}
    for file in pipeline_runs.files_at(tx, paths):
        folder, _, name = file.path.rpartition("/")
        by_run.setdefault(folders[folder], {})[name] = file
    return by_run


def _digests(files: dict[str, File]) -> set[tuple[str, str | None]]:
    return {(name, file.sha256 or file.blob_id) for name, file in files.items()}


def _versions(ci: Ci, files: dict[str, File]) -> dict[str, str]:
    texts = {}
    for name, file in files.items():
        try:
            content = b"".join(ci.deps.files.get(ci.project_id, file.blob_id, length=min(file.size, _MOST_BYTES)))
        except MltrailError:
            return {}  # the file store does not answer; then the note leaves out packages
        texts[name] = content.decode("utf-8", "replace")
    return environment.read(texts)
