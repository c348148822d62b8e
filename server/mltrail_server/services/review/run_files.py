"""Where the files of a comparison's runs are: as each run counts, which may be as it was before a later job wrote."""

from collections.abc import Iterable, Sequence

from mltrail_server.domain import paths
from mltrail_server.domain.grouping import Run
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files.files import File
from mltrail_server.store.review import pipeline_runs
from mltrail_server.store.tracking import candidates


def folders(tx: Transaction, runs: Iterable[Run]) -> dict[int, str]:
    """Find the folder of each run's files, by the run's number. One statement. Runs that are gone have none."""
    by_iid = {run.iid: run for run in runs}
    found = {}
    for candidate in candidates.of_iids(tx, sorted(by_iid)):
        snapshot = by_iid[candidate.iid].snapshot_iid
        own = f"{candidate.experiment_iid}/{candidate.eid}/artifacts"
        found[candidate.iid] = own if snapshot is None else paths.join(paths.beside(snapshot), "artifacts")
    return found


def files(tx: Transaction, runs: Sequence[Run], names: Iterable[str]) -> dict[tuple[int, str], File]:
    """Find files of runs, by the run's number and the file's name. Two statements."""
    of_run = folders(tx, runs)
    wanted = {paths.join(folder, name): (iid, name) for name in names for iid, folder in of_run.items()}
    return {wanted[file.path]: file for file in pipeline_runs.files_at(tx, list(wanted))}
