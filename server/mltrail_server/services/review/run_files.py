"""Where the files of a comparison's runs are: as each run counts, which may be as it was before a later job wrote."""

from collections.abc import Iterable, Sequence

from mltrail_server.domain import paths
from mltrail_server.domain.grouping import Run
from mltrail_server.domain.paths import Owner
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.tracking import candidates, inputs
from mltrail_server.store.tracking.inputs import Direction

_MODEL = "model"
"""Where MLflow 2 stores a model by default; MLflow 3 stores each in a folder of its own."""


def files(tx: Transaction, runs: Sequence[Run], names: Iterable[str]) -> dict[tuple[int, str], File]:
    """Find files of runs, by the run's number and the file's name. Two statements. Runs that are gone have none."""
    snapshots = {run.iid: run.snapshot_iid for run in runs}
    folders = {
        one.iid: Owner(one.experiment_iid, one.eid).folder_in(snapshots[one.iid])
        for one in candidates.of_iids(tx, sorted(snapshots))
    }
    wanted = {paths.join(folder, name): (iid, name) for name in names for iid, folder in folders.items()}
    return {wanted[file.path]: file for file in pipeline_runs.files_at(tx, list(wanted))}


def files_of_models(tx: Transaction, runs: Sequence[Run], names: Iterable[str]) -> dict[tuple[int, str], File]:
    """Find files of the models that runs have logged, by the run's number and the file's name. Three statements."""
    counted = {run.iid: run for run in runs}
    links = inputs.models_of(tx, [run.evidence_iid for run in runs])
    folders: dict[str, int] = {}
    for one in candidates.of_iids(tx, sorted(counted)):
        run = counted[one.iid]
        folders[f"{Owner(one.experiment_iid, one.eid).folder_in(run.snapshot_iid)}/{_MODEL}"] = one.iid
        for link in links.get(run.evidence_iid, ()):
            if link.direction is Direction.OUTPUT:
                of_model = Owner(one.experiment_iid, logged_model_id=link.model_id)
                folders[of_model.folder_in(run.snapshot_iid)] = one.iid
    wanted = {f"{folder}/{name}": (iid, name) for name in names for folder, iid in folders.items()}
    return {wanted[file.path]: file for file in pipeline_runs.files_at(tx, list(wanted))}
