"""Runs that evaluate a model which another run has trained, without training: they are that run, measured again.

An evaluation of one of the merge request's own runs counts as that run. An evaluation of the baseline's best makes
these values the baseline's: both sides are then measured on the same data, and earlier measurements do not count.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from .grouping import Run, RunState, usable
from .run_tags import EVALUATES_TAG

REMEASURED = "The baseline was measured again here, with these values: the target branch's history does not count"
UNKNOWN = (
    "A run here evaluates a model that neither the baseline nor this merge request has trained, so it does not count"
)
TRAINED_BEFORE = (
    "What is judged was trained by an earlier pipeline of this merge request and only evaluated here: what has changed "
    "since then was not trained"
)
NOT_ITS_BEST = "The baseline was measured again here, but not its best run, so that does not count"


@dataclass(frozen=True, slots=True)
class Settled:
    """Both sides with evaluations in the place of what they evaluate. `remeasured` is set if the baseline's values are
    from here. `remarks` contain nothing that a user wrote.
    """

    runs: tuple[Run, ...]
    baseline: tuple[Run, ...]
    remeasured: bool = False
    remarks: tuple[str, ...] = ()


def evaluates(run: Run) -> str:
    """Return the MLflow run id of what a run evaluates; "" if it has trained a model itself."""
    return run.tags.get(EVALUATES_TAG, "").strip()


def with_their_evaluations(runs: Iterable[Run]) -> list[Run]:
    """Leave out evaluations, and give those of the same pipeline to the runs that they evaluate. Their values change
    nothing there: what they have said of cases does.
    """
    found = list(runs)
    counting = [run for run in found if evaluates(run) and run.state is RunState.SUCCEEDED]
    trained = [run for run in found if not evaluates(run)]
    if not counting:
        return trained
    of_each = _by_evaluated(counting, {run.eid for run in trained if run.eid})
    return [replace(run, evaluations=tuple(of_each.get(run.eid, ()))) for run in trained]


def settle(runs: Sequence[Run], baseline: Sequence[Run], *, earlier: Iterable[Run], best: str) -> Settled:
    """Put evaluations in the place of what they evaluate. `earlier` are the merge request's runs of the same model in
    other pipelines, `best` is the MLflow run id of the baseline's best run.
    """
    if not any(map(evaluates, runs)):
        return Settled(tuple(runs), tuple(baseline))
    counting = [run for run in runs if evaluates(run) and run.state is RunState.SUCCEEDED]
    own, theirs = _trained((*earlier, *runs)), _trained(baseline)
    of_theirs = _by_evaluated(counting, theirs.keys())
    of_own = _by_evaluated(counting, own.keys() - theirs.keys())
    known = sum(map(len, (*of_theirs.values(), *of_own.values())))
    unknown = (UNKNOWN,) if known < len(counting) else ()
    if of_own.keys() - {run.eid for run in runs}:
        unknown = (TRAINED_BEFORE, *unknown)
    ours = _with_evaluations(runs, own, of_own)
    if best in of_theirs:
        measured = tuple(_measured(theirs[eid], found) for eid, found in of_theirs.items())
        return Settled(ours, measured, remeasured=True, remarks=(REMEASURED, *unknown))
    return Settled(ours, tuple(baseline), remarks=((NOT_ITS_BEST,) if of_theirs else ()) + unknown)


def _trained(runs: Iterable[Run]) -> dict[str, Run]:
    """Map the runs that have trained a model, and succeeded, by their MLflow run id."""
    return {run.eid: run for run in runs if run.eid and not evaluates(run) and run.state is RunState.SUCCEEDED}


def _with_evaluations(
    runs: Sequence[Run], own: Mapping[str, Run], evaluations: Mapping[str, Sequence[Run]]
) -> tuple[Run, ...]:
    """Leave out the evaluations that count, and add what they have measured. Others are shown as what they are."""
    trained = [run for run in runs if not evaluates(run)]
    others = [run for run in runs if evaluates(run) and run.state is not RunState.SUCCEEDED]
    here = {run.eid for run in trained}
    added = [_measured(own[eid], found) for eid, found in evaluations.items() if eid not in here]
    return (*(_beside(run, evaluations.get(run.eid, ())) for run in trained), *added, *others)


def _by_evaluated(evaluations: Iterable[Run], known: AbstractSet[str]) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in evaluations:
        if evaluates(run) in known:
            found.setdefault(evaluates(run), []).append(run)
    return found


def _measured(trained: Run, evaluations: Sequence[Run]) -> Run:
    """Return a run with the values and the data of its evaluations instead of its own."""
    return replace(
        trained,
        metrics=_means([run.metrics for run in evaluations]),
        datasets=dict(evaluations[-1].datasets),
        parent_iid=None,
        evaluations=tuple(evaluations),
    )


def _beside(trained: Run, evaluations: Sequence[Run]) -> Run:
    """Add to a run of the same pipeline what its evaluations have measured."""
    if not evaluations:
        return trained
    measured = _measured(trained, evaluations)
    return replace(
        trained,
        metrics={**trained.metrics, **measured.metrics},
        datasets={**trained.datasets, **measured.datasets},
        evaluations=measured.evaluations,
    )


def _means(measured: Sequence[Mapping[str, float]]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for metrics in measured:
        for name, value in metrics.items():
            values.setdefault(name, []).append(value)
    return {
        name: math.fsum(found) / len(found) if all(map(usable, found)) else math.nan for name, found in values.items()
    }
