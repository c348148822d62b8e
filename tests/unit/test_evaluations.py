"""An evaluation takes the place of the run whose model it evaluates: the baseline's, or one of the merge request's."""

import itertools
from typing import Any

import pytest

from mltrail_server.domain import evaluations
from mltrail_server.domain.evaluations import settle
from mltrail_server.domain.grouping import Run, RunState
from mltrail_server.domain.run_tags import EVALUATES_TAG

_numbers = itertools.count(1)


def run(eid: str, acc: float, *, evaluates: str = "", state: RunState = RunState.SUCCEEDED, **how: Any) -> Run:
    tags = {EVALUATES_TAG: evaluates} if evaluates else {}
    return Run(next(_numbers), eid, state, {"lr": eid}, {"acc": acc}, tags=tags, eid=eid, **how)


CHAMPION, SECOND = run("champion", 0.9, datasets={"test": "old"}), run("second", 0.8)
MINE = run("mine", 0.85)


def settled(*runs: Run, earlier: tuple[Run, ...] = ()) -> evaluations.Settled:
    return settle(runs, [CHAMPION, SECOND], earlier=earlier, best="champion")


def test_without_evaluations_nothing_changes() -> None:
    assert settled(MINE) == evaluations.Settled((MINE,), (CHAMPION, SECOND))


def test_the_baseline_measured_again_has_the_new_values_and_data() -> None:
    found = settled(MINE, run("e", 0.7, evaluates="champion", datasets={"test": "new"}))
    assert (found.runs, found.remeasured, found.remarks) == ((MINE,), True, (evaluations.REMEASURED,))
    (champion,) = found.baseline
    assert (champion.iid, champion.params) == (CHAMPION.iid, {"lr": "champion"})
    assert (champion.metrics, champion.datasets) == ({"acc": 0.7}, {"test": "new"})


def test_a_weaker_run_of_the_baseline_is_not_the_baseline() -> None:
    found = settled(MINE, run("e", 0.1, evaluates="second"))
    assert (found.baseline, found.remeasured) == ((CHAMPION, SECOND), False)
    assert found.remarks == (evaluations.NOT_ITS_BEST,)


def test_repeated_evaluations_count_with_their_mean() -> None:
    found = settled(MINE, run("e", 0.7, evaluates="champion"), run("f", 0.8, evaluates="champion"))
    assert [one.metrics["acc"] for one in found.baseline] == [pytest.approx(0.75)]


def test_an_earlier_run_of_the_merge_request_counts_with_its_parameters() -> None:
    found = settled(run("e", 0.7, evaluates="old"), earlier=(old := run("old", 0.95),))
    (one,) = found.runs
    assert (one.iid, one.params, one.metrics) == (old.iid, old.params, {"acc": 0.7})
    assert found.remarks == (evaluations.TRAINED_BEFORE,)


def test_a_run_of_the_same_pipeline_gets_what_was_measured_beside_its_own() -> None:
    evaluation = Run(99, "e", RunState.SUCCEEDED, {}, {"f1": 0.6}, tags={EVALUATES_TAG: "mine"}, eid="e")
    (one,) = settled(MINE, evaluation).runs
    assert (one.iid, one.metrics) == (MINE.iid, {"acc": 0.85, "f1": 0.6})


def test_what_nobody_knows_does_not_count() -> None:
    found = settled(MINE, run("e", 0.99, evaluates="elsewhere"))
    assert (found.runs, found.remarks) == ((MINE,), (evaluations.UNKNOWN,))


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.RUNNING, RunState.UNVERIFIED])
def test_an_evaluation_that_does_not_count_changes_nothing(state: RunState) -> None:
    found = settled(MINE, run("e", 0.1, evaluates="champion", state=state))
    assert (found.baseline, found.remeasured, found.remarks) == ((CHAMPION, SECOND), False, ())
