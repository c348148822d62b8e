"""Remove the files of candidates that lost some time ago. What was logged to them stays.

Only models with a promoted version have losers. The files that a version, an alias or the newest baseline rests on are
never removed, nor those of candidates under review or logged by hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.contract import contracts
from mltrail_server.services.traces import traces
from mltrail_server.store.admin import losers
from mltrail_server.store.admin.losers import Loser, NewestPromotion
from mltrail_server.store.db.project import Project
from mltrail_server.store.files import files
from mltrail_server.store.review import contracts as contract_store
from mltrail_server.store.traces import traces as traces_store
from mltrail_server.store.traces.traces import Selection
from mltrail_server.store.tracking import candidate_tags

TAG = "mltrail.files"
_BATCH = 100
_TRACES_AT_ONCE = 500
_MOST_PIPELINES = 100  # how many of the newest are searched for a contract file


@dataclass(frozen=True, slots=True)
class Removed:
    """A candidate whose files were removed, or would be; `size` is in bytes."""

    project_id: ProjectId
    iid: int
    name: str
    files: int
    size: int


def apply(
    deps: Deps, project_id: ProjectId, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Removed]:
    """Remove the files of a project's losers, or list them. Garbage collection removes the bytes a day later."""
    with deps.project(project_id).read() as tx:
        promotions = losers.newest_promotions(tx)
    for won in promotions:
        keep_ms = _keep_ms(deps, project_id, won)
        if keep_ms is None or stopped():
            continue
        with deps.project(project_id).read() as tx:
            batch = losers.of_experiment(tx, won, before=tx.now - keep_ms, limit=_BATCH)
        for loser in batch:
            yield _remove(deps.project(project_id), loser, dry_run=dry_run)


def forget_traces(
    deps: Deps, project_id: ProjectId, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False
) -> int:
    """Delete traces that are older than the contract or the settings allow, or count them; whichever is shorter counts.

    Runs that they were evidence for say that they are gone.
    """
    keep_ms = _traces_keep_ms(deps, project_id)
    if keep_ms is None:
        return 0
    forgotten = 0
    project = deps.project(project_id)
    if dry_run:
        with project.read() as tx:
            return traces_store.count_stored_before(tx, tx.now - keep_ms)
    while not stopped():
        with project.write() as tx:
            old = traces_store.selected(tx, Selection(stored_before_ms=tx.now - keep_ms), limit=_TRACES_AT_ONCE)
            traces.forget(tx, old, by="mltrail, since they were too old")
        forgotten += len(old)
        if len(old) < _TRACES_AT_ONCE:
            break
    return forgotten


def _traces_keep_ms(deps: Deps, project_id: ProjectId) -> int | None:
    with deps.project(project_id).read() as tx:
        contract = contracts.parsed(contract_store.newest(tx, among=_MOST_PIPELINES)).contract
    by_contract = contract.traces.keep_ms if contract else None
    return min((one for one in (by_contract, deps.settings.keep_traces_ms) if one is not None), default=None)


def _keep_ms(deps: Deps, project_id: ProjectId, won: NewestPromotion) -> int | None:
    """Return how long a model's losers are kept: as the contract of its newest promotion says, or else the settings."""
    with deps.project(project_id).read() as tx:
        contract = contracts.of_pipeline(tx, won.pipeline_id).binding.contract
    model = contract.models.get(won.model_name) if contract else None
    return model.keep.losers_ms if model and model.keep.losers_ms is not None else deps.settings.keep_losers_ms


def _remove(project: Project, loser: Loser, *, dry_run: bool) -> Removed:
    with project.read() if dry_run else project.write() as tx:
        folders = [Owner(loser.experiment_iid, eid=loser.eid).folder]
        for model_id, experiment_iid in losers.logged_models(tx, loser.eid):
            folders.append(Owner(experiment_iid, logged_model_id=model_id).folder)
        inside = [file for folder in folders for file in files.below(tx, folder)]
        if not dry_run:
            for folder in folders:
                files.delete(tx, folder)
            candidate_tags.put(tx, loser.iid, {TAG: "removed: another candidate was promoted"})
    return Removed(project.project_id, loser.iid, loser.name, len(inside), sum(file.size for file in inside))
