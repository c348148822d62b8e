"""What counts as chance, and what holds always: how often the rules are right is measured by `benchmarks.gate`."""

import math
import random
from dataclasses import replace

import pytest
from scipy import stats

from mltrail_server.domain import evidence
from mltrail_server.domain.branch import PossibleLevel
from mltrail_server.domain.evidence import BranchLevel, Contest, Ends, Evidence, Plan
from mltrail_server.domain.statistics import Summary, f_two_sided, summarise, t_below, t_quantile
from tests.welch import welch_p


def single(*values: float) -> list[Summary]:
    return [summarise([value]) for value in values]


def test_without_a_history_it_is_students_test() -> None:
    before, now = summarise([0.80, 0.81, 0.82]), summarise([0.90, 0.91, 0.92])
    weighed = evidence.weigh(evidence.level(before), now)
    assert weighed is not None
    assert weighed.p == pytest.approx(welch_p(before, now) / 2)
    assert weighed.low < 0.1 < weighed.high
    assert weighed.p < 0.05


@pytest.mark.parametrize("seed", range(30))
def test_without_a_history_it_is_what_scipy_answers(seed: int) -> None:
    """Student's test, or Welch's if this side's spread is clearly larger: then both sides count for themselves."""
    rng = random.Random(seed)
    wide = rng.choice([1.0, 1.0, 6.0])
    before = [rng.gauss(0, 1) for _ in range(rng.randint(2, 8))]
    now = [rng.gauss(rng.choice([0, 1]), wide) for _ in range(rng.randint(2, 8))]
    weighed = evidence.weigh(evidence.level(summarise(before)), summarise(now))
    assert weighed is not None
    ratio = stats.tvar(now) / stats.tvar(before)
    f = stats.f(len(now) - 1, len(before) - 1)
    pooled = stats.ttest_ind(now, before, alternative="less")
    welch = stats.ttest_ind(now, before, equal_var=False, alternative="less")
    expected = pooled
    if 2 * min(f.cdf(ratio), f.sf(ratio)) < 0.04:
        # Two tests are possible: a smaller spread here is believed only if that is the more careful choice.
        errors = [abs((summarise(now).mean - summarise(before).mean) / one.statistic) for one in (pooled, welch)]
        expected = pooled if ratio < 1 and errors[1] < errors[0] else welch
    assert weighed.below(0.0) == pytest.approx(expected.pvalue, rel=1e-6)
    assert weighed.above(0.0) == pytest.approx(1 - expected.pvalue, rel=1e-6)
    interval = expected.confidence_interval(0.95)
    assert weighed.high == pytest.approx(interval.high, rel=1e-3)


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 8, 30, 400, math.inf])
def test_the_t_distribution_is_scipys(freedom: float) -> None:
    rng = random.Random(1)
    exact = stats.norm if math.isinf(freedom) else stats.t(freedom)
    for _ in range(50):
        t, p = rng.gauss(0, 3), rng.uniform(0.5, 0.9999)
        assert t_below(t, freedom) == pytest.approx(exact.cdf(t), rel=1e-9, abs=1e-14)
        assert t_quantile(p, freedom) == pytest.approx(exact.ppf(p), rel=1e-9, abs=1e-12)


def test_two_lone_runs_show_nothing() -> None:
    assert evidence.weigh(evidence.level(*single(0.8)), *single(0.9)) is None
    assert evidence.weigh(evidence.level(single(0.8)[0], single(0.81)), *single(0.9)) is None


def test_a_branchs_lone_runs_show_the_spread_together() -> None:
    history = single(0.801, 0.799, 0.802, 0.800, 0.798, 0.801, 0.799)
    level = evidence.level(history[0], history[1:])
    assert (level.pipelines, level.runs) == (7, 7)
    assert level.sd == pytest.approx(0.0016, abs=0.0005)
    dropped, same = evidence.weigh(level, *single(0.79)), evidence.weigh(level, *single(0.799))
    assert dropped is not None
    assert dropped.p < 0.05
    assert same is not None
    assert not same.p < 0.05


def test_a_branch_that_gets_better_is_not_noise() -> None:
    rng = random.Random(7)
    pipelines = [summarise([0.9 - 0.01 * age + rng.gauss(0, 0.001) for _ in range(3)]) for age in range(15)]
    level = evidence.level(pipelines[0], pipelines[1:])
    assert level.mean == pytest.approx(0.9, abs=0.002)
    fallen_back = evidence.weigh(level, summarise([0.88 + rng.gauss(0, 0.001) for _ in range(3)]))
    assert fallen_back is not None
    assert fallen_back.below(0.0) < 0.001


def test_what_lies_before_a_leap_does_not_count() -> None:
    rng = random.Random(3)
    pipelines = [summarise([(0.9 if age < 6 else 0.7) + rng.gauss(0, 0.002) for _ in range(3)]) for age in range(15)]
    level = evidence.level(pipelines[0], pipelines[1:])
    assert (level.pipelines, level.runs) == (6, 18)
    assert level.mean == pytest.approx(0.9, abs=0.003)


def test_runs_without_any_spread_are_never_certainty() -> None:
    constant = single(*[0.8] * 8)
    assert evidence.weigh(evidence.level(constant[0], constant[1:]), *single(0.8001)) is None
    assert evidence.weigh(evidence.level(summarise([0.8, 0.8])), *single(0.81)) is None
    assert evidence.weigh(evidence.level(summarise([0.8, 0.8])), summarise([0.7, 0.7])) is None


RUNS = [0.80, 0.81, 0.82, 0.80, 0.81]


@pytest.mark.parametrize("rounding", [0.0, 1e-9, 1e-6])
def test_copies_on_one_side_count_as_one_run(rounding: float) -> None:
    steady, copies = evidence.level(summarise(RUNS)), [0.79 + rounding * place for place in (-2, -1, 0, 1, 2)]
    copied, alone = evidence.weigh(steady, summarise(copies)), evidence.weigh(steady, summarise([0.79]))
    assert copied is not None
    assert alone is not None
    assert (copied.error, copied.freedom) == (alone.error, alone.freedom)
    assert copied.difference == pytest.approx(alone.difference)
    assert copied.copies == pytest.approx(math.inf if not rounding else steady.sd / summarise(copies).sd)
    assert alone.copies is None


@pytest.mark.parametrize("runs", [2, 3, 5, 10, 30])
def test_training_may_become_five_times_steadier(runs: int) -> None:
    rng = random.Random(runs)
    level = evidence.level(summarise(RUNS), [summarise([rng.gauss(0.8, 0.01) for _ in range(5)]) for _ in range(19)])
    for _ in range(200):
        now = summarise([rng.gauss(0.8, 0.002) for _ in range(runs)])
        weighed = evidence.weigh(level, now)
        assert weighed is not None
        assert weighed.copies is None


@pytest.mark.parametrize("freedom", [2, 4, 30])
@pytest.mark.parametrize("runs", [2, 3, 5])
def test_runs_are_copies_where_scipy_leaves_chance_one_of_ten_thousand(runs: int, freedom: int) -> None:
    limit = math.sqrt(stats.f(runs - 1, freedom).ppf(1e-4)) / 10  # of the branch's spread, even if ten times steadier
    level = evidence.level(Summary(0.8, 0.01, freedom + 1))
    for share, copies in ((0.99, True), (1.01, False)):
        weighed = evidence.weigh(level, Summary(0.8, 0.01 * limit * share, runs))
        assert weighed is not None
        assert (weighed.copies is not None) is copies


def test_a_diverged_run_on_the_branch_makes_no_copies() -> None:
    rng = random.Random(1)
    history = [summarise([rng.gauss(0.8, 0.01) for _ in range(5)]) for _ in range(10)]
    history[3] = summarise([0.8, 0.81, 0.79, 0.8, 1e6])
    weighed = evidence.weigh(evidence.level(history[0], history[1:]), summarise(RUNS))
    assert weighed is not None
    assert weighed.copies is None


def test_a_branchs_pipeline_of_copies_is_one_run() -> None:
    rng = random.Random(1)
    history = [summarise([rng.gauss(0.8, 0.01) for _ in range(5)]) for _ in range(10)]
    copies = summarise([0.81 + rng.gauss(0, 1e-8) for _ in range(5)])
    copied, alone = evidence.level(copies, history), evidence.level(summarise([copies.mean]), history)
    assert copied == alone


def test_the_best_of_many_equal_ones_is_luck() -> None:
    level = evidence.level(summarise([0.80, 0.81, 0.82, 0.80, 0.81]))
    now = summarise([0.815, 0.825, 0.82])
    alone, best = evidence.weigh(level, now), evidence.weigh(level, now, Contest(here=10))
    assert alone is not None
    assert best is not None
    assert alone.above(0.0) < 0.05 < best.above(0.0)
    assert best.below(0.0) < alone.below(0.0)  # and if even the best is lower, that is no luck


def test_what_luck_gives_the_best_is_told_apart() -> None:
    level = evidence.level(summarise([0.80, 0.81, 0.82, 0.80, 0.81]))
    now = summarise([0.815, 0.825, 0.82])
    best = evidence.weigh(level, now, Contest(here=50))
    assert best is not None
    # The highest of 50 standard normal values is 2.249 on average, by H. L. Harter, Biometrika 48 (1961).
    assert best.luck == pytest.approx(2.249 * best.sd / math.sqrt(3), rel=1e-2)
    lower = evidence.weigh(level, now, Contest(here=50, lower=True))
    assert lower is not None
    assert lower.luck == -best.luck
    together = evidence.weigh(level, now, Contest(here=50, ranks=False))
    assert together is not None
    assert together.luck == 0
    assert together.low < together.difference < together.high


def test_unequal_spreads_are_each_counted() -> None:
    quiet = summarise([1.0, 1.001, 0.999, 1.0005, 0.9995])
    loud = summarise([0.2, 1.9, 0.5, 2.4, 0.1])
    weighed = evidence.weigh(evidence.level(quiet), loud)
    assert weighed is not None
    assert weighed.p == pytest.approx(welch_p(quiet, loud) / 2)


@pytest.mark.parametrize(
    ("sd", "drop", "weight", "runs"),
    [
        (1, 1, 0, 13),
        (1, 1, 100, 7),
        (1, 1, 10, 17),
        (1, 1, 5, None),
        (1, 3, 0, 2),
        (1e-9, 1, 0, 2),
        (1, 0, 0, None),
        (1, 0.01, 0, None),
    ],
)
def test_how_many_runs_would_tell_if_the_spread_were_known(
    sd: float, drop: float, weight: float, runs: int | None
) -> None:
    """2 (z₀.₉₅ + z₀.₈)² sd² / drop² runs on both sides, or fewer here against a level that is known as well as a mean
    of `weight` runs is: https://www.itl.nist.gov/div898/handbook/prc/section2/prc222.htm.
    """
    level = BranchLevel(0, weight, 1, 2, sd, 1e9, (PossibleLevel(1.0, 0, 1 / weight, 2),)) if weight else None
    assert Plan(sd, math.inf, level, math.inf).runs(drop) == runs


@pytest.mark.parametrize(("few", "drop"), [(2, 1.5), (3, 1.5), (3, 1.0), (5, 1.0)])
def test_as_many_runs_as_advised_show_the_drop_in_four_of_five_cases(few: int, drop: float) -> None:
    rng = random.Random(few)

    def tested(runs: int, lost: float) -> Evidence:
        before, now = (summarise([rng.gauss(level, 1) for _ in range(runs)]) for level in (0, -lost))
        weighed = evidence.weigh(evidence.level(before), now)
        assert weighed is not None
        return weighed

    seen, many = 0, 1500
    for _ in range(many):
        known = tested(few, 0.0)
        runs = Plan(known.sd, known.freedom).runs(drop * known.sd)
        assert runs is not None
        seen += tested(runs, drop * known.sd).below(0.0) < 0.05
    assert seen / many == pytest.approx(0.8, abs=0.05)


def test_a_detectable_drop_is_seen_in_four_of_five_cases() -> None:
    rng = random.Random(5)
    seen, many = 0, 2000
    for _ in range(many):
        before, now = (summarise([rng.gauss(0, 1) for _ in range(8)]) for _ in range(2))
        ideal = evidence.weigh(evidence.level(before), now)
        assert ideal is not None
        drop = ideal.detectable() / ideal.sd
        shifted = evidence.weigh(evidence.level(before), replace(now, mean=now.mean - drop))
        assert shifted is not None
        seen += shifted.below(0.0) < 0.05
    assert seen / many == pytest.approx(0.8, abs=0.03)


def test_the_f_distribution() -> None:
    # From the NIST table of critical values: F(5, 10) at 2.5 % is 4.236, at 97.5 % 1 / F(10, 5) = 1 / 6.619.
    assert f_two_sided(4.2361, 5, 10) == pytest.approx(0.05, abs=1e-4)
    assert f_two_sided(1 / 6.6192, 5, 10) == pytest.approx(0.05, abs=1e-4)


def test_spreads_that_differ_beyond_what_a_square_can_hold_are_weighed() -> None:
    before = evidence.level(summarise([1.0, 1.0 + 1e-12, 1.0 - 1e-12]))
    weighed = evidence.weigh(before, summarise([1e149, -1e149, 5e148]))
    assert weighed is not None
    assert weighed.hidden is None or weighed.hidden > 1


def test_a_bound_that_chance_never_reaches_is_infinite() -> None:
    rare = Evidence(1.0, 1.0, 1.0, 1.0, ends=Ends(below=1e-9, above=1e-9))
    assert (rare.low, rare.high) == (-math.inf, math.inf)
