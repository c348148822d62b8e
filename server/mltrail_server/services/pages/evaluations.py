"""What the page of an evaluation shows: one run's, or two runs' side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mltrail_server.domain import selection
from mltrail_server.domain.assessments import Assessment
from mltrail_server.domain.cases.evaluation import EvaluationResult
from mltrail_server.domain.errors import not_found
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.prompts import LINKED_TAG, linked
from mltrail_server.domain.traces import Trace
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.contract import directions
from mltrail_server.services.review import pipeline_runs
from mltrail_server.services.review.cases import evaluations
from mltrail_server.services.tracking import experiments as experiment_service
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.pages import tables
from mltrail_server.store.pages import traces as pages_store
from mltrail_server.store.traces import assessments as assessment_store
from mltrail_server.store.traces import traces as store
from mltrail_server.store.tracking import candidates
from mltrail_server.store.tracking.candidates import Candidate
from mltrail_server.store.tracking.experiments import Experiment

from .traces import root_of

_MOST_OTHERS = 50
_MOST_WHOLE = 40
"""How many answers of a case are read whole."""


@dataclass(frozen=True, slots=True)
class LoadedPrompt:
    """A prompt that a run has loaded, with its versions here and in the other run."""

    name: str
    here: Sequence[str]
    against: Sequence[str]


@dataclass(frozen=True, slots=True)
class EvaluationView:
    """A run and its evaluation, None if it has evaluated nothing. `against` is the run that it is compared with, and
    `others` are those that it could be compared with.
    """

    run: Candidate
    experiment: Experiment
    result: EvaluationResult | None
    against: Candidate | None
    others: Sequence[Candidate]
    prompts: Sequence[LoadedPrompt]


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a case, whole if its spans are there, else as far as its preview goes."""

    trace: Trace
    inputs: Any
    outputs: Any
    assessments: Sequence[Assessment]


def get(scope: Scope, iid: int, against: int | None) -> EvaluationView:
    """Return a run's evaluations, compared with another run's if it is given. Raises NOT_FOUND."""
    with scope.project.slow_read() as tx:
        run = _existing(tx, iid)
        other = None if against is None else _existing(tx, against)
        experiment = experiment_service.existing(tx, run.experiment_iid)
        others = [one for one in pages_store.evaluated(tx, run.experiment_iid, limit=_MOST_OTHERS) if one != iid]
        named = candidates.of_iids(tx, others)
        contract = directions.newest_contract(tx)
        runs = _runs(tx, [run, *([other] if other else [])])
        models = selection.models_of(contract, [experiment.name])
        pair = evaluations.pair(tx, runs[0], runs[1] if other else None, models)
    prompts = _prompts(runs[0], runs[1] if other else None)
    result = pair.compared() if pair is not None else None
    return EvaluationView(run, experiment, result, other, sorted(named, key=lambda one: -one.iid), prompts)


def previews(scope: Scope, trace_ids: Sequence[str]) -> dict[str, Trace]:
    """Return traces with their previews, without spans."""
    with scope.project.read() as tx:
        return {one.id: one for one in store.of_ids(tx, trace_ids)}


def answers(scope: Scope, trace_ids: Sequence[str]) -> Mapping[str, Answered]:
    """Read the answers to a case."""
    with scope.project.read() as tx:
        traces = store.of_ids(tx, trace_ids)
        said = assessment_store.of_traces(tx, trace_ids)
    found = {}
    for place, trace in enumerate(traces):
        root = root_of(scope, trace.id) if place < _MOST_WHOLE else None
        inputs = trace.request_preview if root is None else root.inputs
        outputs = trace.response_preview if root is None else root.outputs
        found[trace.id] = Answered(trace, inputs, outputs, said.get(trace.id, []))
    return found


def _existing(tx: Transaction, iid: int) -> Candidate:
    found = candidates.get_by_iid(tx, iid)
    if found is None:
        raise not_found(f"This project has no run number {iid}.")
    return found


def _runs(tx: Transaction, of: Sequence[Candidate]) -> list[Run]:
    """Read what a comparison needs to know of these runs, as they are now."""
    tags = tables.tag_values(tx, [one.iid for one in of], [*pipeline_runs.EVALUATION_TAGS, LINKED_TAG])
    runs = [Run(one.iid, one.name, RunState.SUCCEEDED, {}, {}, tags=tags.get(one.iid, {}), eid=one.eid) for one in of]
    return pipeline_runs.filled(tx, runs)


def _prompts(here: Run, against: Run | None) -> list[LoadedPrompt]:
    sides = [linked(run.tags.get(LINKED_TAG)) if run else [] for run in (here, against)]
    names = dict.fromkeys(name for side in sides for name, _ in side)
    return [
        LoadedPrompt(name, *([str(number) for own, number in side if own == name] for side in sides)) for name in names
    ]
