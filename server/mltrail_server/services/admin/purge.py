"""Remove for good what was deleted, as `mlflow gc` does. What a version rests on stays; the evidence of a baseline or
of an open merge request goes only when somebody insists.

What must be left of runs that are removed for good.

A baseline that was removed is not the same as a baseline that never was: the verdict is unknown then, and says who has
removed it. So whatever purges runs calls `leave` first, in the transaction in which it removes them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import RunState
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.paths import Owner
from mltrail_server.services.context.deps import Deps
from mltrail_server.services.review import pipeline_runs
from mltrail_server.store.admin import deleted
from mltrail_server.store.ci import jobs
from mltrail_server.store.files import files
from mltrail_server.store.identity import projects
from mltrail_server.store.review import tombstones as store
from mltrail_server.store.review.tombstones import Tombstone
from mltrail_server.store.tracking import candidate_tags, candidates, evidence

from . import garbage


def leave_tombstone(
    connection: sa.Connection, project_id: ProjectId, iids: Sequence[int], *, by: str, now: int
) -> None:
    """Leave a tombstone for each of these candidates that a job's token vouches for, and remove what stands beside
    them: amendments and snapshots, with their files.

    `by` is the login of who removes them, or the name of the command. Call it while the candidates' rows are still
    there. Their rows of `candidate_job` may go or stay.
    """
    of_pipeline: dict[int, list[int]] = {}
    for iid in iids:
        link = next((one for one in jobs.links_of(connection, project_id, iid) if one.verified), None)
        if link is not None:
            of_pipeline.setdefault(link.pipeline_id, []).append(iid)
    for pipeline_id, found in of_pipeline.items():
        _leave(connection, project_id, pipeline_id, found, by=by, now=now)
    for candidate in candidates.of_iids(connection, project_id, list(iids)):
        for number in (candidate.amendment_iid, candidate.snapshot_iid):
            if number is not None:
                evidence.forget(connection, project_id, number, now=now)


def _leave(
    connection: sa.Connection, project_id: ProjectId, pipeline_id: int, iids: list[int], *, by: str, now: int
) -> None:
    of_tags = candidate_tags.own(connection, project_id, iids)
    runs = pipeline_runs.outlines(connection, project_id, [pipeline_id], as_baseline=True).get(pipeline_id, [])
    store.add(
        connection,
        project_id,
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
                now,
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
class Wanted:
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


def purge(deps: Deps, wanted: Wanted) -> Iterator[Purged]:
    """Remove what was deleted, thing by thing. The bytes of its files go with the garbage, a day later; they count no
    longer from now on. Raises NOT_FOUND for an unknown project.
    """
    before = deps.clock() - wanted.older_than_ms
    for project_id in _projects(deps, wanted.project):
        yield from _runs(deps, project_id, wanted, before)
        if not wanted.run_ids:
            if not wanted.experiment_ids:
                yield from _logged_models(deps, project_id, wanted, before)
            yield from _experiments(deps, project_id, wanted, before)


def _projects(deps: Deps, wanted: str) -> list[ProjectId]:
    if not wanted:
        return garbage.all_projects(deps)
    with deps.db.read() as connection:
        known = projects.known(connection, None)
    found = [number for number, path in known if wanted in (path, str(number))]
    if not found:
        raise not_found(f"No project '{wanted}' has been used here.")
    return found


def _runs(deps: Deps, project_id: ProjectId, wanted: Wanted, before: int) -> Iterator[Purged]:
    with deps.db.read() as connection:
        found = deleted.runs(
            connection, project_id, before=before, eids=wanted.run_ids, experiments=wanted.experiment_ids
        )
    for run in found:
        with deps.db.read() as connection:
            models = len(deleted.of_run(connection, project_id, run.eid))
        beside = f" with {models} logged model{'s' if models != 1 else ''}" if models else ""
        told = Purged(project_id, "run", f"{run.iid} {run.name!r}{beside}")
        if run.rests == "version" or (run.rests and not wanted.force):
            yield Purged(project_id, "run", told.name, _WORDS[run.rests])
        elif wanted.dry_run or _remove_run(deps, project_id, run):
            yield told


def _remove_run(deps: Deps, project_id: ProjectId, run: deleted.Run) -> bool:
    with deps.db.write() as connection:
        if not deleted.hold(connection, project_id, run.iid):
            return False
        models = deleted.of_run(connection, project_id, run.eid)
        points = deleted.points_of(connection, project_id, run.iid)
        leave_tombstone(connection, project_id, [run.iid], by=_BY, now=deps.clock())
        deleted.remove_run(connection, project_id, run, points=points)
        files.delete(connection, project_id, Owner(run.experiment_iid, eid=run.eid).folder, now=deps.clock())
        for model_id, experiment_iid in models:
            _remove_model(connection, project_id, model_id, experiment_iid, deps.clock)
    return True


def _logged_models(deps: Deps, project_id: ProjectId, wanted: Wanted, before: int) -> Iterator[Purged]:
    with deps.db.read() as connection:
        found = deleted.logged_models(connection, project_id, before=before)
    for model_id, experiment_iid in found:
        if not wanted.dry_run:
            with deps.db.write() as connection:
                _remove_model(connection, project_id, model_id, experiment_iid, deps.clock)
        yield Purged(project_id, "logged model", model_id)


def _remove_model(
    connection: sa.Connection, project_id: ProjectId, model_id: str, experiment_iid: int, clock: Callable[[], int]
) -> None:
    files.delete(connection, project_id, Owner(experiment_iid, logged_model_id=model_id).folder, now=clock())
    deleted.remove_logged_model(connection, project_id, model_id)


def _experiments(deps: Deps, project_id: ProjectId, wanted: Wanted, before: int) -> Iterator[Purged]:
    with deps.db.read() as connection:
        found = deleted.experiments(connection, project_id, before=before, iids=wanted.experiment_ids)
    for iid, name in found:
        if not wanted.dry_run:
            with deps.db.write() as connection:
                deleted.remove_experiment(connection, project_id, iid)
        yield Purged(project_id, "experiment", f"{iid} {name!r}")
