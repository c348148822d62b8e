"""What a merge request may call worse: all its metrics share one chance in twenty of a false alarm."""

import random
from collections.abc import Sequence

import pytest

from mltrail_server.domain import conformal, evidence, hypotheses
from mltrail_server.domain.direction import Better
from mltrail_server.domain.evidence import Evidence
from mltrail_server.domain.hypotheses import Family, Hypothesis, Key, decide
from mltrail_server.domain.statistics import summarise, t_quantile


def repeats(metric: str, p: float, looks: int = 1) -> Hypothesis:
    """A metric whose loss happens by chance this often."""
    weighed = Evidence(-t_quantile(1 - p, 50), 1.0, 1.0, 50)
    return Hypothesis(Key("churn", metric), Family.FAIL, Better.HIGHER, evidence=weighed, looks=looks)


def singles(metric: str, values: Sequence[float], better: Better = Better.HIGHER, tolerance: float = 0.0) -> Hypothesis:
    """A metric of single runs: this side's value, then the branch's, newest first."""
    now, *earlier = values
    level = evidence.level(summarise([earlier[0]]), [summarise([one]) for one in earlier[1:]])
    history = dict(enumerate(earlier))
    weighed = evidence.weigh(level, summarise([now]))
    return Hypothesis(Key("churn", metric), Family.FAIL, better, tolerance, weighed, now=now, history=history)


def test_rules_share_one_chance_in_twenty() -> None:
    found = decide([repeats("a", 0.014), repeats("b", 0.024), repeats("c", 0.03)])
    assert [one.worse for one in found.values()] == [True, False, False]
    assert [one.p_worse for one in found.values()] == pytest.approx([0.014 * 3 / 0.9, 0.024 * 2 / 0.9, 0.024 * 2 / 0.9])


def test_each_look_costs() -> None:
    assert decide([repeats("a", 0.04)])[Key("churn", "a")].worse
    assert not decide([repeats("a", 0.04, looks=2)])[Key("churn", "a")].worse
    assert sum(hypotheses.share_of(looks) for looks in range(1, 100)) == pytest.approx(1)


def test_a_lone_run_must_stand_out_from_all_pipelines() -> None:
    rng = random.Random(4)
    branch = [rng.gauss(0, 1) for _ in range(25)]
    below, within = singles("a", [-6.0, *branch]), singles("a", [min(branch) + 0.01, *branch])
    assert decide([below])[Key("churn", "a")].worse
    assert not decide([within])[Key("churn", "a")].worse
    turned = singles("a", [6.0, *(-one for one in branch)], Better.LOWER)
    assert decide([turned])[Key("churn", "a")] == decide([below])[Key("churn", "a")]
    assert not decide([singles("a", [-6.0, *branch], tolerance=5.0)])[Key("churn", "a")].worse


def test_four_pipelines_of_single_runs_tell_nothing() -> None:
    assert decide([singles("a", [-50.0, 0.1, 0.2, 0.0, -0.1])]) == {}


def test_lone_runs_and_repeats_of_one_merge_request_share_its_chance() -> None:
    rng = random.Random(4)
    lone = singles("a", [-9.0, *(rng.gauss(0, 1) for _ in range(25))])
    alone, mixed = decide([lone]), decide([lone, repeats("b", 0.5)])
    assert mixed[lone.key].p_worse == pytest.approx(2 * alone[lone.key].p_worse)


def test_every_pipeline_is_as_likely_to_be_the_worst() -> None:
    rng = random.Random(11)
    pipelines = [[rng.expovariate(1) for _ in range(12)] for _ in range(3)]
    lowest = []
    for place in range(12):
        chosen = [[one[place], *one[:place], *one[place + 1 :]] for one in pipelines]
        lowest.append(min(conformal.step_down(chosen)))
    ranks = sorted(round(one * 12) for one in lowest)
    assert ranks[1:] == list(range(2, 13))
    assert min(lowest) <= 1 / 12
