"""What a candidate's page shows: what was logged to it, its jobs, its experiment, and its parent and children."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.candidate import Stage
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.origins import Origin
from mltrail_server.domain.paths import Owner
from mltrail_server.domain.run_tags import PARENT_TAG
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import evidence
from mltrail_server.services.tracking import experiments as experiment_service
from mltrail_server.services.tracking.candidates import CandidateData, with_data
from mltrail_server.store.imports import origins
from mltrail_server.store.pages import files as pages_files
from mltrail_server.store.pages import tables
from mltrail_server.store.pages import traces as pages_store
from mltrail_server.store.pages.files import FileFacts
from mltrail_server.store.pages.tables import CandidateJob
from mltrail_server.store.tracking import candidates as store
from mltrail_server.store.tracking import logged_models
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.evidence import Amendment
from mltrail_server.store.tracking.experiments import Experiment

_MOST_CHILDREN = 1000
_MOST_FILES = 10_000


@dataclass(frozen=True, slots=True)
class CandidateView:
    """The creator is the first of `jobs`. `parent` is the number of the parent run, if there is one; `children` is how
    many child runs there are, counted up to a thousand. `origin` is where it was imported from.
    """

    run: CandidateData
    experiment: Experiment
    jobs: Sequence[CandidateJob]
    parent: int | None
    children: int
    amendments: Sequence[Amendment]  # who, other than its own jobs, has written to it
    traces: int  # linked to it
    files: FileFacts
    models: int  # that it has logged with MLflow 3
    origin: Origin | None = None
    deleted_ms: int | None = None


def get(scope: Scope, iid: int) -> CandidateView:
    """Return a candidate by its number in the project, in a fixed number of statements, and one more each if others
    have written to it, if it was imported, and if it was deleted. Raises NOT_FOUND.
    """
    with scope.project.read() as tx:
        candidate = store.get_by_iid(tx, iid)
        if candidate is None:
            raise not_found(f"This project has no run number {iid}.")
        run = with_data(tx, [candidate])[0]
        experiment = experiment_service.existing(tx, candidate.experiment_iid)
        jobs = tables.made_by(tx, [iid])
        parent_eid = dict(run.tags).get(PARENT_TAG, "")
        children = tables.count_tagged(tx, PARENT_TAG, candidate.eid, most=_MOST_CHILDREN)
        parent = store.iids_of(tx, [parent_eid]) if parent_eid else {}
        amendments = evidence.of(tx, candidate)
        facts = pages_files.facts(tx, folders(candidate), most=_MOST_FILES)
        models = len(logged_models.made_by(tx, candidate.eid))
        traces = pages_store.count_of_runs(tx, [iid]).get(iid, 0)
        origin = origins.get(tx, candidate.origin_id)
        deleted_ms = store.deleted_ms(tx, iid) if candidate.stage is Stage.DELETED else None
    return CandidateView(
        run,
        experiment,
        jobs[::-1],
        next(iter(parent), None),
        children,
        amendments,
        traces,
        facts,
        models,
        origin,
        deleted_ms,
    )


def folders(candidate: Candidate) -> list[str]:
    """Return the folders with a run's files: its own, and the one for what others have logged to it."""
    own = Owner(candidate.experiment_iid, candidate.eid).folder
    others = candidate.amendment_iid
    return [own] if others is None else [own, evidence.folder(others)]


def names(scope: Scope, iids: Sequence[int]) -> dict[int, str]:
    """Return the names of candidates by their numbers."""
    with scope.project.read() as tx:
        return {candidate.iid: candidate.name for candidate in store.of_iids(tx, list(iids))}
