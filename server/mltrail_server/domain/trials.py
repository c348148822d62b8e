"""A sweep is a parent run with trials as its children. A comparison counts the parent or the trials, never both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import globs, trace_metrics
from .grouping import Run, RunState, usable
from .run_tags import CONFIRM_TAG

RUN_TYPE_TAG = "mlflow.runType"
"""The tag in which MLflow's clients say what a run is for."""

TEST_SESSION = "test"
"""Its value for a session of `@mlflow.test`."""


@dataclass(frozen=True, slots=True)
class Folded:
    """`runs` are those that count. `trials` maps each parent that counts to the number of trials it was chosen from."""

    runs: tuple[Run, ...]
    trials: Mapping[int, int]


def fold(runs: Sequence[Run], wanted: Sequence[str] = ()) -> Folded:
    """Choose what counts for each sweep: the parent if it has logged a metric that none of its trials has (the final
    evaluation, as scikit-learn's searches log it), or else the trials. `wanted` are globs of the metrics that matter;
    empty means all. A session of tests is no candidate beside others: it tries the commit, with other cases than they.
    """
    runs = _without_tests(runs)
    children = _children(runs)
    if not children:
        return Folded(tuple(runs), {})
    matter = globs.matching_any({name for run in runs for name in run.metrics}, wanted) if wanted else None
    dropped: set[int] = set()
    trials: dict[int, int] = {}
    for parent in runs:
        below = children.get(parent.iid)
        if below is None or parent.state is not RunState.SUCCEEDED or parent.iid in dropped:
            continue
        theirs = {name for child in below for name in _logged(child, matter)}
        if _logged(parent, matter) - theirs:
            beneath = _all_below(parent.iid, children)
            dropped |= beneath
            trials[parent.iid] = len(beneath)
        else:
            dropped.add(parent.iid)
    return Folded(tuple(run for run in runs if run.iid not in dropped), trials)


def _children(runs: Sequence[Run]) -> dict[int, list[Run]]:
    """Map the parents to their trials that have succeeded."""
    if all(run.parent_iid is None for run in runs):
        return {}
    in_circles = _in_circles(runs)
    children: dict[int, list[Run]] = {}
    for run in runs:
        if run.parent_iid is not None and run.iid not in in_circles and run.state is RunState.SUCCEEDED:
            children.setdefault(run.parent_iid, []).append(run)
    return children


def _without_tests(runs: Sequence[Run]) -> Sequence[Run]:
    others = [run for run in runs if not is_of_tests(run)]
    return others if any(run.state is RunState.SUCCEEDED for run in others) else runs


def is_of_tests(run: Run) -> bool:
    return run.tags.get(RUN_TYPE_TAG) == TEST_SESSION


def confirms(run: Run) -> bool:
    return run.tags.get(CONFIRM_TAG, "").lower() == "true"


def _logged(run: Run, matter: set[str] | None) -> set[str]:
    names = {name for name, value in run.metrics.items() if usable(value) and name not in trace_metrics.NAMES}
    return names if matter is None else names & matter


def _in_circles(runs: Sequence[Run]) -> set[int]:
    """Find runs that are their own ancestors. They are not treated as trials, or none of them would count."""
    parents = {run.iid: run.parent_iid for run in runs}
    found: set[int] = set()
    seen: set[int] = set()
    for start in parents:
        path: dict[int, None] = {}
        at: int | None = start
        while at is not None and at in parents and at not in seen:
            seen.add(at)
            path[at] = None
            at = parents[at]
        if at is not None and at in path:
            walked = list(path)
            found.update(walked[walked.index(at) :])
    return found


def _all_below(iid: int, children: Mapping[int, Sequence[Run]]) -> set[int]:
    found: set[int] = set()
    waiting = [iid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child.iid not in found and child.iid != iid:
                found.add(child.iid)
                waiting.append(child.iid)
    return found
