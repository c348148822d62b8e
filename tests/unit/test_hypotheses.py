"""What a merge request may call worse: all its metrics share one chance in twenty of a false alarm."""

import math
import random
from collections.abc import Sequence
from fractions import Fraction

import pytest
from statsmodels.stats.multitest import multipletests

from mltrail_server.domain import conformal, evidence, hypotheses
from mltrail_server.domain.direction import Better
from mltrail_server.domain.evidence import Evidence
from mltrail_server.domain.hypotheses import Family, Hypothesis, Key, Look, decide
from mltrail_server.domain.statistics import summarise, t_quantile
from mltrail_server.domain.winners import Contest


def repeats(metric: str, *chances: float, shares: Sequence[float] = (0.9,)) -> Hypothesis:
    """A metric whose loss happened by chance this often at each look, the newest first."""
    looks = [
        Look(share, summarise([0.0, 0.0]), Evidence(-t_quantile(1 - p, 50), 1.0, 1.0, 50))
        for share, p in zip(shares, chances, strict=True)
    ]
    return Hypothesis(Key("churn", metric), Family.FAIL, Better.HIGHER).at(looks, {})


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


@pytest.mark.parametrize(
    ("now", "first", "worse", "was"),
    [
        (0.04, 0.9, False, False),  # the first look has spent nine tenths, and was kind
        (0.002, 0.9, True, False),
        (0.04, 0.001, True, True),  # what the first look found holds...
        (0.06, 0.001, False, True),  # ...until all runs together speak against it
    ],
)
def test_later_looks_only_add(now: float, first: float, worse: bool, was: bool) -> None:
    (found,) = decide([repeats("a", now, first, shares=(0.05, 0.9))]).values()
    assert (found.worse, found.was_worse) == (worse, was)


def test_a_look_of_one_model_leaves_another_s_alone() -> None:
    alone = decide([repeats("a", 0.01), repeats("b", 0.5)])
    mixed = decide([repeats("a", 0.01), repeats("b", 0.5, 0.9, shares=(0.05, 0.9))])
    assert mixed[Key("churn", "a")] == alone[Key("churn", "a")]


@pytest.mark.parametrize(
    ("runs", "planned", "shares"),
    [
        ([3], 5, [0.9]),
        ([5], 1, [0.9]),
        ([5, 10, 15], 5, [0.9, 0.05, 0.1 / 6]),
        ([1, 2, 3, 4, 5], 5, [0, 0, 0, 0, 0.9]),  # split into many pipelines
        ([1, 2], 5, [0, 0.9]),
        ([3, 6, 6], 5, [0, 0.9, 0]),  # the same seeds again
        ([5, 10], None, [0, 0.9]),
    ],
)
def test_a_look_s_share_grows_with_what_it_adds(runs: list[int], planned: int | None, shares: list[float]) -> None:
    found = hypotheses.shares_of(runs, planned)
    assert found == pytest.approx(shares)
    assert sum(found) < 1


def test_an_earlier_look_of_a_lone_run_is_held_to_all_pipelines_too() -> None:
    rng = random.Random(4)
    branch = [rng.gauss(0, 1) for _ in range(25)]
    now, first = singles("a", [-6.0, *branch]), singles("a", [min(branch) + 0.01, *branch])
    for one, was in ((now, True), (first, False)):
        sure = repeats("a", 0.01).evidence
        looks = [Look(0.05, summarise([0.0, 0.0]), sure), Look(0.9, summarise([one.now]), one.evidence)]
        (found,) = decide([one.at(looks, one.history)]).values()
        assert (found.worse, found.was_worse) == (was, was)


def test_a_lone_run_must_stand_out_from_all_pipelines() -> None:
    rng = random.Random(4)
    branch = [rng.gauss(0, 1) for _ in range(25)]
    below, within = singles("a", [-6.0, *branch]), singles("a", [min(branch) + 0.01, *branch])
    assert decide([below])[Key("churn", "a")].worse
    assert not decide([within])[Key("churn", "a")].worse
    turned = singles("a", [6.0, *(-one for one in branch)], Better.LOWER)
    found, other = decide([turned])[Key("churn", "a")], decide([below])[Key("churn", "a")]
    assert (found.worse, found.p_worse, found.p_better) == (other.worse, other.p_worse, other.p_better)
    assert found.evidence is not None
    assert other.evidence is not None
    assert (found.evidence.low, found.evidence.high) == (-other.evidence.high, -other.evidence.low)
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
        lowest.append(min(one.chance for one in conformal.step_down(chosen, [0.05] * 3)))
    ranks = sorted(round(one * 12) for one in lowest)
    assert ranks[1:] == list(range(2, 13))
    assert min(lowest) <= 1 / 12


@pytest.mark.parametrize("seed", range(20))
def test_it_is_holms_correction(seed: int) -> None:
    rng = random.Random(seed)
    chances = [rng.random() ** rng.choice([1, 4]) / 2 for _ in range(rng.randint(1, 12))]
    found = decide([repeats(str(place), one) for place, one in enumerate(chances)])
    rejected, corrected, *_ = multipletests([min(1.0, one / 0.9) for one in chances], method="holm")
    assert [one.p_worse for one in found.values()] == pytest.approx(list(corrected), abs=1e-9)
    assert [one.worse for one in found.values()] == list(rejected)


@pytest.mark.parametrize("count", [19, 20, 45])
@pytest.mark.parametrize("digits", [6, 0])
def test_if_nothing_changed_a_pipeline_is_equally_likely_to_have_each_rank(count: int, digits: int) -> None:
    """Each pipeline takes its turn as the new one. Its p is the share of pipelines that are as far out, or further, in
    their worst metric, which is counted here on its own; equal values share the worse rank.
    """
    rng = random.Random(count)
    metrics = [[round(rng.gauss(0, 2), digits) for _ in range(count)] for _ in range(3)]
    worst = []
    for place in range(count):
        residuals = []
        for values in metrics:
            middle = (
                sorted(values)[count // 2] if count % 2 else sum(sorted(values)[count // 2 - 1 : count // 2 + 1]) / 2
            )
            off = sorted(abs(one - middle) for one in values)
            scale = off[count // 2] if count % 2 else (off[count // 2 - 1] + off[count // 2]) / 2
            residuals.append((middle - values[place]) / scale)
        worst.append(max(residuals))
    chances = []
    for place in range(count):
        turned = [[one[place], *one[:place], *one[place + 1 :]] for one in metrics]
        found = min(one.chance for one in conformal.step_down(turned, [0.05] * 3))
        chances.append(found)
        rank = Fraction(sum(one >= worst[place] - 1e-9 for one in worst), count)
        if rank > Fraction(1, count):
            assert found == pytest.approx(float(rank))
        else:
            assert 0 < found <= 1 / count
    for alpha in (0.0501, 0.1, 0.2):
        allowed = max(1, math.floor(alpha * count))
        assert sum(one <= alpha for one in chances) <= allowed


@pytest.mark.parametrize("seed", range(40))
def test_the_interval_leaves_out_exactly_what_the_test_rejects(seed: int) -> None:
    rng = random.Random(seed)
    single, pipelines = seed % 2 == 0, rng.choice([6, 19, 30])
    asked = []
    for place in range(rng.choice([1, 3, 5])):
        now = [rng.gauss(rng.choice([0, -1, -3, 3, -6]), 1) for _ in range(1 if single else 5)]
        history = [[rng.gauss(0, 1) for _ in now] for _ in range(pipelines)]
        sides = [summarise(one) for one in history]
        asked.append(
            Hypothesis(
                Key("churn", str(place)),
                rng.choice(list(Family)),
                rng.choice([Better.HIGHER, Better.LOWER]),
                rng.choice([0.0, 0.5]),
                evidence.weigh(evidence.level(sides[0], sides[1:]), summarise(now)),
                now=now[0],
                history={number: one[0] for number, one in enumerate(history)} if single else {},
                share=rng.choice([0.9, 0.05]),
            )
        )
    decisions = decide(asked)
    for one in asked:
        found = decisions[one.key]
        assert found.evidence is not None
        low, high = found.evidence.low, found.evidence.high
        assert low < found.evidence.difference < high
        lost, gained = (low, -high) if one.better is Better.LOWER else (-high, low)
        assert (lost > one.tolerance, gained > 0) == (found.worse, found.better)


def looked_at(place: int, *, pipelines: int, rng: random.Random) -> Hypothesis:
    """A metric that one to four looks saw, each with the runs of those before, some with a best of several. With a
    single run a pipeline, all metrics have the branch's values.
    """
    single, model = rng.random() < 0.5, rng.choice(["churn", "fraud"])
    branch = [[rng.gauss(0, 1) for _ in range(1 if single else 4)] for _ in range(pipelines)]
    sides = [summarise(one) for one in branch]
    level = evidence.level(sides[0], sides[1:])
    better = rng.choice([Better.HIGHER, Better.LOWER])
    here, there = rng.choice([(1, 1), (1, 1), (12, 1), (1, 12), (12, 12)])
    alike = min(here, rng.choice([1, 5])), min(there, rng.choice([1, 5]))
    contest = Contest(here, there, *alike, ranks=rng.random() < 0.5, lower=better is Better.LOWER)
    centre = rng.choice([0, 0, -1, 1, -3, 3, -7, 7])
    runs = [rng.gauss(centre, 1)] if single else []
    known = []
    for _ in range(1 if single else rng.choice([1, 2, 4])):
        if not single and runs and rng.random() < 1 / 3:  # the same seeds again: each counts as the mean of its repeats
            runs = [(one + rng.gauss(centre, 1)) / 2 for one in runs]
        elif not single:
            runs = [*runs, *(rng.gauss(centre, 1) for _ in range(3))]
        known.append(summarise(runs))
    shares = hypotheses.shares_of([one.n for one in known], rng.choice([None, 3, 6]))
    looks = [Look(share, now, evidence.weigh(level, now, contest)) for share, now in zip(shares, known, strict=True)]
    asked = Hypothesis(Key(model, str(place)), rng.choice(list(Family)), better, rng.choice([0.0, 0.5]))
    return asked.at(looks[::-1], {number: one[0] for number, one in enumerate(branch)} if single else {})


@pytest.mark.parametrize("seed", range(60))
def test_the_interval_agrees_with_the_verdict_whatever_looks_families_and_choices_there_were(seed: int) -> None:
    rng = random.Random(seed)
    pipelines = rng.choice([6, 19, 25])
    asked = [looked_at(place, pipelines=pipelines, rng=rng) for place in range(rng.choice([1, 3, 6]))]
    decisions = decide(asked)
    for one in asked:
        found = decisions[one.key]
        assert found.evidence is not None
        low, high = found.evidence.low, found.evidence.high
        assert low <= high
        lost, gained = (low, -high) if one.better is Better.LOWER else (-high, low)
        assert (lost > one.tolerance, gained > 0) == (found.worse, found.better)


def test_of_single_runs_the_drop_that_is_said_to_be_seen_is_seen_in_four_of_five_cases() -> None:
    rng = random.Random(6)
    seen, many = 0, 400
    for _ in range(many):
        branch = [rng.gauss(0, 1) for _ in range(25)]
        said = decide([singles("a", [rng.gauss(0, 1), *branch])])[Key("churn", "a")]
        assert said.evidence is not None
        drop = max(said.seen, said.evidence.detectable())
        seen += decide([singles("a", [rng.gauss(0, 1) - drop, *branch])])[Key("churn", "a")].worse
    assert seen / many == pytest.approx(0.8, abs=0.06)
