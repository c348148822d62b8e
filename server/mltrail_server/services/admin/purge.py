"""Remove for good what was deleted, as `mlflow gc` does.

What a version rests on stays; the evidence of a baseline or of an open merge request is removed only with `force`.

Each removed run leaves a tombstone: a baseline that was removed is not the same as one that never existed, so the
verdict is unknown then and says who has removed it. The tombstone is written in the transaction that removes the run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import pipeline_runs
from mltrail_server.services.traces import traces
from mltrail_server.store.admin import deleted
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.project import Project
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.identity import projects
from mltrail_server.store.review import tombstones as store
from mltrail_server.store.review.tombstones import Tombstone
from mltrail_server.store.traces import traces as traces_store
from mltrail_server.store.traces.traces import Selection
from mltrail_server.store.tracking import candidate_tags, candidates, evidence

from . import garbage

_COMMAND = "mltrail-server gc"
_TRACES_AT_ONCE = 500
_REASONS_TO_KEEP = {
    "version": "a model version rests on it",
    "baseline": "it is what the default branch is compared with; --force removes it all the same",
    "review": "its merge request is open; --force removes it all the same",
}


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """What to remove: what was deleted `older_than_ms` ago or earlier, in one project or in all. With ids, only these
    runs and experiments.
    """

    older_than_ms: int = 0
    project: str = ""
    run_ids: Sequence[str] = ()
    experiment_ids: Sequence[int] = ()
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Purged:
    """Something that was removed, or would be; `kept` says why it was not."""

    project_id: ProjectId
    kind: str  # run, logged model, experiment
    name: str
    kept: str = ""


def purge(deps: Deps, request: PurgeRequest) -> Iterator[Purged]:
    """Remove what was deleted, one by one. Its files no longer count for the quota; garbage collection removes their
    bytes a day later. Raises NOT_FOUND for an unknown project.
    """
    before = deps.clock() - request.older_than_ms
    for project_id in _projects(deps, request.project):
        yield from _runs(deps.project(project_id), request, before)
        if not request.run_ids:
            if not request.experiment_ids:
                yield from _logged_models(deps.project(project_id), request, before)
            yield from _experiments(deps.project(project_id), request, before)


def leave_tombstone(tx: Transaction, iids: Sequence[int], *, by: str) -> None:
    """Leave a tombstone for each of these candidates that a job's token vouches for, and remove their amendments and
    snapshots with their files.

    `by` is the login of the user who removes them, or the name of the command. Call it before the candidates' rows are
    removed.
    """
    by_pipeline: dict[int, list[int]] = {}
    for iid in iids:
        verified = next((tie for tie in jobs.ties_of(tx, iid) if tie.verified), None)
        if verified is not None:
            by_pipeline.setdefault(verified.pipeline_id, []).append(iid)
    for pipeline_id, of_pipeline in by_pipeline.items():
        _leave(tx, pipeline_id, of_pipeline, by=by)
    for candidate in candidates.of_iids(tx, list(iids)):
        for number in (candidate.amendment_iid, candidate.snapshot_iid):
            if number is not None:
                evidence.forget(tx, number)


def _projects(deps: Deps, project: str) -> list[ProjectId]:
    if not project:
        return garbage.all_projects(deps)
    with deps.db.read() as connection:
        known = projects.known(connection, None)
    numbers = [number for number, path in known if project in (path, str(number))]
    if not numbers:
        raise not_found(f"No project '{project}' has been used here.")
    return numbers


def _runs(project: Project, request: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        gone = deleted.runs(tx, before=before, eids=request.run_ids, experiments=request.experiment_ids)
    for run in gone:
        with project.read() as tx:
            models = len(deleted.of_run(tx, run.eid))
        with_models = f" with {models} logged model{'s' if models != 1 else ''}" if models else ""
        purged = Purged(project.project_id, "run", f"{run.iid} {run.name!r}{with_models}")
        if run.rests == "version" or (run.rests and not request.force):
            yield Purged(project.project_id, "run", purged.name, _REASONS_TO_KEEP[run.rests])
        elif request.dry_run or _remove_run(project, run):
            yield purged


def _logged_models(project: Project, request: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        gone = deleted.logged_models(tx, before=before)
    for model_id, experiment_iid in gone:
        if not request.dry_run:
            with project.write() as tx:
                _remove_model(tx, model_id, experiment_iid)
        yield Purged(project.project_id, "logged model", model_id)


def _experiments(project: Project, request: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        gone = deleted.experiments(tx, before=before, iids=request.experiment_ids)
    for iid, name in gone:
        if not request.dry_run:
            _remove_traces(project, iid)
            with project.write() as tx:
                deleted.remove_experiment(tx, iid)
        yield Purged(project.project_id, "experiment", f"{iid} {name!r}")


def _remove_traces(project: Project, experiment_iid: int) -> None:
    """Remove the traces of an experiment that is deleted; nobody logs new ones to it."""
    while True:
        with project.write() as tx:
            some = traces_store.selected(tx, Selection(experiment_iid=experiment_iid), limit=_TRACES_AT_ONCE)
            traces.forget(tx, some, by=_COMMAND)
        if len(some) < _TRACES_AT_ONCE:
            return


def _remove_run(project: Project, run: deleted.DeletedRun) -> bool:
    with project.write() as tx:
        if not deleted.hold(tx, run.iid):
            return False
        models = deleted.of_run(tx, run.eid)
        points = deleted.points_of(tx, run.iid)
        leave_tombstone(tx, [run.iid], by=_COMMAND)
        deleted.remove_run(tx, run, points=points)
        files.delete(tx, Owner(run.experiment_iid, eid=run.eid).folder)
        for model_id, experiment_iid in models:
            _remove_model(tx, model_id, experiment_iid)
    return True


def _remove_model(tx: Transaction, model_id: str, experiment_iid: int) -> None:
    files.delete(tx, Owner(experiment_iid, logged_model_id=model_id).folder)
    deleted.remove_logged_model(tx, model_id)


def _leave(tx: Transaction, pipeline_id: int, iids: list[int], *, by: str) -> None:
    tags = candidate_tags.own(tx, iids)
    runs = pipeline_runs.outlines(tx, [pipeline_id], as_baseline=True).get(pipeline_id, [])
    store.add(
        tx,
        [
            # While its jobs run the outcome is unknown; it counts as the success that it may have become.
            Tombstone(
                run.iid,
                pipeline_id,
                run.experiment,
                run.name,
                tags.get(run.iid, {}),
                RunState.SUCCEEDED if run.state is RunState.RUNNING else run.state,
                by,
                tx.now,
            )
            for run in runs
            if run.iid in iids and run.gone is None
        ],
    )
