"""Remove the files of candidates that lost, some time after. What was logged to them stays.

Only models that are promoted have losers. Never gone is what a version, an alias or the newest baseline rests on, what
is still being reviewed, and whatever was logged by hand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.contract import contracts
from mltrail_server.store.admin import losers
from mltrail_server.store.admin.losers import Loser, Won
from mltrail_server.store.db.project import Project
from mltrail_server.store.files import files
from mltrail_server.store.tracking import candidate_tags

TAG = "mltrail.files"
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Removed:
    """A candidate whose files went, or would go; `size` is in bytes."""

    project_id: ProjectId
    iid: int
    name: str
    files: int
    size: int


def apply(
    deps: Deps, project_id: ProjectId, *, dry_run: bool = False, stopped: Callable[[], bool] = lambda: False
) -> Iterator[Removed]:
    """Remove a project's losers' files, or tell which would go. The bytes go with the garbage, a day later."""
    with deps.project(project_id).read() as tx:
        won = losers.newest_promotions(tx)
    for one in won:
        keep_ms = _keep_ms(deps, project_id, one)
        if keep_ms is None or stopped():
            continue
        with deps.project(project_id).read() as tx:
            found = losers.of_experiment(tx, one, before=tx.now - keep_ms, limit=_BATCH)
        for loser in found:
            yield _remove(deps.project(project_id), loser, dry_run=dry_run)


def _keep_ms(deps: Deps, project_id: ProjectId, won: Won) -> int | None:
    """Tell how long a model's losers are kept: as its newest promotion's contract says, else as the server does."""
    with deps.project(project_id).read() as tx:
        contract = contracts.of_pipeline(tx, won.pipeline_id).binding.contract
    model = contract.models.get(won.model_name) if contract else None
    return model.keep.losers_ms if model and model.keep.losers_ms is not None else deps.settings.keep_losers_ms


def _remove(project: Project, loser: Loser, *, dry_run: bool) -> Removed:
    with project.read() if dry_run else project.write() as tx:
        folders = [Owner(loser.experiment_iid, eid=loser.eid).folder]
        for model_id, experiment_iid in losers.logged_models(tx, loser.eid):
            folders.append(Owner(experiment_iid, logged_model_id=model_id).folder)
        held = [file for folder in folders for file in files.below(tx, folder)]
        if not dry_run:
            for folder in folders:
                files.delete(tx, folder)
            candidate_tags.put(tx, loser.iid, {TAG: "removed: another candidate was promoted"})
    return Removed(project.project_id, loser.iid, loser.name, len(held), sum(file.size for file in held))
