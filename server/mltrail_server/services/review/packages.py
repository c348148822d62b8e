"""Packages whose versions differ between the environments of a merge request's model and of its baseline."""

from collections.abc import Mapping
from dataclasses import replace

from mltrail_server.domain import environment
from mltrail_server.domain.comparison import changed_parameters
from mltrail_server.domain.environment import PYTHON, REQUIREMENTS
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.grouping import Run
from mltrail_server.services.context.deps import Ci
from mltrail_server.store.files.files import File

from . import run_files
from .judged import ModelReport
from .reports import Report

_MOST_MODELS = 5
_MOST_BYTES = 65_536


def with_packages(ci: Ci, report: Report) -> Report:
    """Add to a report that is ready how the environments differ. Three statements, and a few small files."""
    if report.state != "ready":
        return report
    wanted = {model.name: sides for model in report.models[:_MOST_MODELS] if (sides := _sides(model)) is not None}
    runs = [run for sides in wanted.values() for run in sides]
    with ci.project.read() as tx:
        found = run_files.files_of_models(tx, runs, (REQUIREMENTS, PYTHON))
    changed = {}
    for name, sides in wanted.items():
        before, now = (_files_of(run, found) for run in sides)
        if before and now and _digests(before) != _digests(now):
            changed[name] = tuple(changed_parameters(_versions(ci, before), _versions(ci, now)))
    models = [replace(model, environment=changed.get(model.name, ())) for model in report.models]
    return replace(report, models=tuple(models))


def _sides(model: ModelReport) -> tuple[Run, Run] | None:
    """Return the runs that represent the baseline and this side."""
    compared = model.comparison
    if compared.baseline is None or compared.best_run is None:
        return None
    return compared.baseline.runs[-1], compared.best_run


def _files_of(run: Run, found: Mapping[tuple[int, str], File]) -> dict[str, File]:
    return {name: file for (iid, name), file in found.items() if iid == run.iid}


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
