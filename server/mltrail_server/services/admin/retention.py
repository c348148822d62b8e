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
    with deps.db.read() as connection:
        won = losers.newest_promotions(connection, project_id)
    for one in won:
        keep_ms = _keep_ms(deps, project_id, one)
        if keep_ms is None or stopped():
            continue
        with deps.db.read() as connection:
            found = losers.of_experiment(connection, project_id, one, before=deps.clock() - keep_ms, limit=_BATCH)
        for loser in found:
            yield _remove(deps, project_id, loser, dry_run=dry_run)


def _keep_ms(deps: Deps, project_id: ProjectId, won: Won) -> int | None:
    """Tell how long a model's losers are kept: as its newest promotion's contract says, else as the server does."""
    with deps.db.read() as connection:
        contract = contracts.of(connection, project_id, won.pipeline_id).binding.contract
    model = contract.models.get(won.model_name) if contract else None
    return model.keep.losers_ms if model and model.keep.losers_ms is not None else deps.settings.keep_losers_ms


def _remove(deps: Deps, project_id: ProjectId, loser: Loser, *, dry_run: bool) -> Removed:
    with deps.db.read() if dry_run else deps.db.write() as connection:
        folders = [Owner(loser.experiment_iid, eid=loser.eid).folder]
        for model_id, experiment_iid in losers.logged_models(connection, project_id, loser.eid):
            folders.append(Owner(experiment_iid, logged_model_id=model_id).folder)
        held = [file for folder in folders for file in files.below(connection, project_id, folder)]
        if not dry_run:
            for folder in folders:
                files.delete(connection, project_id, folder, now=deps.clock())
            candidate_tags.put(connection, project_id, loser.iid, {TAG: "removed: another candidate was promoted"})
    return Removed(project_id, loser.iid, loser.name, len(held), sum(file.size for file in held))
