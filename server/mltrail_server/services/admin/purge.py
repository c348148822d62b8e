"""Remove for good what was deleted, as `mlflow gc` does. What a version rests on stays; the evidence of a baseline or
of an open merge request goes only when somebody insists.

What must be left of runs that are removed for good.

A baseline that was removed is not the same as a baseline that never was: the verdict is unknown then, and says who has
removed it. So whatever purges runs calls `leave` first, in the transaction in which it removes them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import pipeline_runs
from mltrail_server.store.admin import deleted
from mltrail_server.store.ci import jobs
from mltrail_server.store.db.project import Project
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.files import files
from mltrail_server.store.identity import projects
from mltrail_server.store.review import tombstones as store
from mltrail_server.store.review.tombstones import Tombstone
from mltrail_server.store.tracking import candidate_tags, candidates, evidence

from . import garbage


def leave_tombstone(tx: Transaction, iids: Sequence[int], *, by: str) -> None:
    """Leave a tombstone for each of these candidates that a job's token vouches for, and remove what stands beside
    them: amendments and snapshots, with their files.

    `by` is the login of who removes them, or the name of the command. Call it while the candidates' rows are still
    there. Their rows of `candidate_job` may go or stay.
    """
    of_pipeline: dict[int, list[int]] = {}
    for iid in iids:
        link = next((one for one in jobs.ties_of(tx, iid) if one.verified), None)
        if link is not None:
            of_pipeline.setdefault(link.pipeline_id, []).append(iid)
    for pipeline_id, found in of_pipeline.items():
        _leave(tx, pipeline_id, found, by=by)
    for candidate in candidates.of_iids(tx, list(iids)):
        for number in (candidate.amendment_iid, candidate.snapshot_iid):
            if number is not None:
                evidence.forget(tx, number)


def _leave(tx: Transaction, pipeline_id: int, iids: list[int], *, by: str) -> None:
    of_tags = candidate_tags.own(tx, iids)
    runs = pipeline_runs.outlines(tx, [pipeline_id], as_baseline=True).get(pipeline_id, [])
    store.add(
        tx,
        [
            # While its jobs run nobody knows what it will be; it counts as what it may have been.
            Tombstone(
                run.iid,
                pipeline_id,
                run.experiment,
                run.name,
                of_tags.get(run.iid, {}),
                RunState.SUCCEEDED if run.state is RunState.RUNNING else run.state,
                by,
                tx.now,
            )
            for run in runs
            if run.iid in iids and run.gone is None
        ],
    )


_BY = "mltrail-server gc"
_WORDS = {
    "version": "a model version rests on it",
    "baseline": "it is what the default branch is compared with; --force removes it all the same",
    "review": "its merge request is open; --force removes it all the same",
}


@dataclass(frozen=True, slots=True)
class PurgeRequest:
    """What is to go: what was deleted `older_than_ms` ago or more, in one project or all. Runs and experiments by their
    ids, or all that are deleted.
    """

    older_than_ms: int = 0
    project: str = ""
    run_ids: Sequence[str] = ()
    experiment_ids: Sequence[int] = ()
    force: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Purged:
    """A thing that went, or would go; `kept` says why it did not."""

    project_id: ProjectId
    kind: str  # run, logged model, experiment
    name: str
    kept: str = ""


def purge(deps: Deps, wanted: PurgeRequest) -> Iterator[Purged]:
    """Remove what was deleted, thing by thing. The bytes of its files go with the garbage, a day later; they count no
    longer from now on. Raises NOT_FOUND for an unknown project.
    """
    before = deps.clock() - wanted.older_than_ms
    for project_id in _projects(deps, wanted.project):
        yield from _runs(deps.project(project_id), wanted, before)
        if not wanted.run_ids:
            if not wanted.experiment_ids:
                yield from _logged_models(deps.project(project_id), wanted, before)
            yield from _experiments(deps.project(project_id), wanted, before)


def _projects(deps: Deps, wanted: str) -> list[ProjectId]:
    if not wanted:
        return garbage.all_projects(deps)
    with deps.db.read() as connection:
        known = projects.known(connection, None)
    found = [number for number, path in known if wanted in (path, str(number))]
    if not found:
        raise not_found(f"No project '{wanted}' has been used here.")
    return found


def _runs(project: Project, wanted: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        found = deleted.runs(tx, before=before, eids=wanted.run_ids, experiments=wanted.experiment_ids)
    for run in found:
        with project.read() as tx:
            models = len(deleted.of_run(tx, run.eid))
        beside = f" with {models} logged model{'s' if models != 1 else ''}" if models else ""
        told = Purged(project.project_id, "run", f"{run.iid} {run.name!r}{beside}")
        if run.rests == "version" or (run.rests and not wanted.force):
            yield Purged(project.project_id, "run", told.name, _WORDS[run.rests])
        elif wanted.dry_run or _remove_run(project, run):
            yield told


def _remove_run(project: Project, run: deleted.DeletedRun) -> bool:
    with project.write() as tx:
        if not deleted.hold(tx, run.iid):
            return False
        models = deleted.of_run(tx, run.eid)
        points = deleted.points_of(tx, run.iid)
        leave_tombstone(tx, [run.iid], by=_BY)
        deleted.remove_run(tx, run, points=points)
        files.delete(tx, Owner(run.experiment_iid, eid=run.eid).folder)
        for model_id, experiment_iid in models:
            _remove_model(tx, model_id, experiment_iid)
    return True


def _logged_models(project: Project, wanted: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        found = deleted.logged_models(tx, before=before)
    for model_id, experiment_iid in found:
        if not wanted.dry_run:
            with project.write() as tx:
                _remove_model(tx, model_id, experiment_iid)
        yield Purged(project.project_id, "logged model", model_id)


def _remove_model(tx: Transaction, model_id: str, experiment_iid: int) -> None:
    files.delete(tx, Owner(experiment_iid, logged_model_id=model_id).folder)
    deleted.remove_logged_model(tx, model_id)


def _experiments(project: Project, wanted: PurgeRequest, before: int) -> Iterator[Purged]:
    with project.read() as tx:
        found = deleted.experiments(tx, before=before, iids=wanted.experiment_ids)
    for iid, name in found:
        if not wanted.dry_run:
            with project.write() as tx:
                deleted.remove_experiment(tx, iid)
        yield Purged(project.project_id, "experiment", f"{iid} {name!r}")
