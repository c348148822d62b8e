"""Runs side by side, from any experiments of a project: what was logged to them, and what they were trained with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain import environment
from mltrail_server.domain.direction import MetricDirection
from mltrail_server.domain.errors import MltrailError
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions as directions_service
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File
from mltrail_server.store.pages import files as pages_files
from mltrail_server.store.pages import tables
from mltrail_server.store.pages import traces as pages_store
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.tracking import candidate_tags, candidates, experiments, inputs, metrics, params
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.inputs import Dataset, Direction

from . import candidate as candidate_service

MOST = 100
MOST_WITH_PICTURES = 8
"""Runs whose pictures are shown side by side."""
MOST_PICTURES = 5_000
_MODEL = "model"
"""The folder where MLflow 2 stores a model by default; MLflow 3 stores each in a folder of its own."""
_NAMES = (environment.REQUIREMENTS, environment.PYTHON, environment.CONDA)
_MOST_FILES = 24
"""Different files that are read for environments: most runs share theirs."""
_MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Side:
    """`packages` are the versions that the run's files name: None if it has no such files, or too many differ to be
    read. `pictures` are paths.
    """

    candidate: Candidate
    experiment: str
    metrics: dict[str, float]
    params: dict[str, str]
    curves: frozenset[str]  # the metrics with values after the first step
    made: CandidateJob | None
    traces: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: Sequence[Dataset] = ()
    packages: Mapping[str, str] | None = None
    pictures: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """`directions` says for each metric which way is better. `missing` are numbers of runs that this project does not
    have, and `left_out` counts those beyond the first hundred.
    """

    sides: list[Side]
    directions: dict[str, MetricDirection]
    missing: list[int]
    left_out: int
    unread: bool = False  # not all environments were read


def get(scope: Scope, iids: Sequence[int]) -> Compared:
    """Return up to a hundred candidates by number, in the given order, in a fixed number of statements and with a few
    small files.
    """
    wanted = list(dict.fromkeys(iids))
    with scope.project.slow_read() as tx:
        by_iid = {candidate.iid: candidate for candidate in candidates.of_iids(tx, wanted[:MOST])}
        there = [iid for iid in wanted[:MOST] if iid in by_iid]
        names = experiments.names_of(tx, {candidate.experiment_iid for candidate in by_iid.values()})
        metrics_by_iid = metrics.latest_of(tx, there)
        params_by_iid = params.of(tx, there)
        tags_by_iid = candidate_tags.of(tx, there)
        datasets = inputs.datasets_of(tx, there)
        made = {job.candidate_iid: job for job in tables.made_by(tx, there)}
        keys = {point.key for points in metrics_by_iid.values() for point in points}
        traces = pages_store.count_of_runs(tx, there)
        directions = directions_service.of_runs(tx, keys, experiments=names.values())
        files = _files(tx, list(by_iid.values()))
        pictures = _pictures(tx, [by_iid[iid] for iid in there[:MOST_WITH_PICTURES]])
    packages, unread = _packages(scope, files)
    sides = [
        Side(
            by_iid[iid],
            names[by_iid[iid].experiment_iid],
            {point.key: point.value for point in metrics_by_iid.get(iid, [])},
            dict(params_by_iid.get(iid, [])),
            frozenset(point.key for point in metrics_by_iid.get(iid, []) if point.step > 0),
            made.get(iid),
            traces.get(iid, 0),
            dict(tags_by_iid.get(iid, [])),
            datasets.get(iid, []),
            packages.get(iid),
            pictures.get(iid, ()),
        )
        for iid in there
    ]
    missing = [iid for iid in wanted[:MOST] if iid not in by_iid]
    return Compared(sides, directions, missing, max(0, len(wanted) - MOST), unread)


def _files(tx: Transaction, some: Sequence[Candidate]) -> dict[int, dict[str, File]]:
    """Find the files that name the packages of each run: its own, or else those of the last model that it logged."""
    links = inputs.models_of(tx, [one.iid for one in some])
    wanted: dict[str, tuple[int, str, int]] = {}
    for one in some:
        own = Owner(one.experiment_iid, one.eid).folder
        models = [link.model_id for link in links.get(one.iid, ()) if link.direction is Direction.OUTPUT]
        folders = [*(Owner(one.experiment_iid, logged_model_id=model).folder for model in models[-1:])]
        for rank, folder in enumerate([f"{own}/{_MODEL}", *folders, own]):
            wanted |= {f"{folder}/{name}": (one.iid, name, rank) for name in _NAMES}
    found: dict[int, dict[str, File]] = {}
    for file in sorted(pipeline_runs.files_at(tx, list(wanted)), key=lambda file: wanted[file.path][2]):
        iid, name, _ = wanted[file.path]
        found.setdefault(iid, {})[name] = file
    return found


def _packages(scope: Scope, files: Mapping[int, Mapping[str, File]]) -> tuple[dict[int, dict[str, str]], bool]:
    """Read the versions of packages; each file that several runs share is read once."""
    texts: dict[str, str | None] = {}
    found: dict[int, dict[str, str]] = {}
    for iid, by_name in files.items():
        for file in by_name.values():
            key = file.sha256 or file.blob_id
            if key not in texts and len(texts) < _MOST_FILES:
                texts[key] = _text(scope, file)
        read = {name: texts.get(file.sha256 or file.blob_id) for name, file in by_name.items()}
        if None not in read.values():
            found[iid] = environment.read({name: text or "" for name, text in read.items()})
    return found, len(found) < len(files)


def _text(scope: Scope, file: File) -> str | None:
    try:
        chunks = scope.deps.files.get(scope.project.project_id, file.blob_id, length=min(file.size, _MOST_BYTES))
        return b"".join(chunks).decode("utf-8", "replace")
    except MltrailError:
        return None  # the file store does not answer


def _pictures(tx: Transaction, some: Sequence[Candidate]) -> dict[int, list[str]]:
    """List the paths of the runs' pictures, in one statement."""
    owners = {folder: one.iid for one in some if not one.elsewhere for folder in candidate_service.folders(one)}
    if not owners:
        return {}
    found: dict[int, list[str]] = {}
    for path in pages_files.paths(tx, list(owners), pages_files.PICTURES, limit=MOST_PICTURES):
        folder = next(one for one in owners if path.startswith(f"{one}/"))
        found.setdefault(owners[folder], []).append(path[len(folder) + 1 :])
    return found
