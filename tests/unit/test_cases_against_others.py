"""The statistics of cases agree with independent implementations on random inputs, and with published examples."""

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
from MLstatkit import Delong_test
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels

from mltrail_server.domain.cases.binomial import binomial, multinomial
from mltrail_server.domain.cases.bootstrap import bootstrap
from mltrail_server.domain.cases.crossed import RunOnCases, cross
from mltrail_server.domain.cases.right_or_wrong import mcnemar, tango_interval, tango_score
from mltrail_server.domain.cases.roc import Scored, area, compare_areas, midranks
from mltrail_server.domain.cases.sign_flips import flip

SEEDS = range(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_mcnemar_is_a_binomial_test(seed: int) -> None:
    source = random.Random(seed)
    broke, fixed = source.randrange(10 ** source.randrange(1, 5)), source.randrange(1, 10 ** source.randrange(1, 5))
    expected = stats.binomtest(broke, broke + fixed, alternative="greater").pvalue
    assert mcnemar(broke, fixed) == pytest.approx(expected, rel=1e-8, abs=1e-300)
    two_sided = mcnemar_of_statsmodels([[5, broke], [fixed, 7]], exact=True).pvalue
    assert min(1, 2 * mcnemar(max(broke, fixed), min(broke, fixed))) == pytest.approx(two_sided, rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(
    ("fixed", "broke", "cases", "chance", "low", "high"),
    [
        (9, 3, 32, 0.95, -0.027, 0.390),  # Tango 1998
        (0, 1, 44, 0.90, -0.096, 0.037),  # Tango 1998: contact lenses, no discordant pair on one side
        (16, 8, 86, 0.95, -0.020, 0.207),  # Agresti and Min 2005
        (1, 7, 21, 0.95, -0.517, -0.026),  # Fagerland, Lydersen and Laake 2014: airways
        (6, 16, 161, 0.95, -0.124, -0.005),  # Fagerland, Lydersen and Laake 2017, chapter 8: consolidation therapy
    ],
)
def test_tangos_interval_is_that_of_the_published_examples(
    fixed: int, broke: int, cases: int, chance: float, low: float, high: float
) -> None:
    found = tango_interval(fixed, broke, cases, float(stats.norm.ppf((1 + chance) / 2)))
    assert found == (pytest.approx(low, abs=6e-4), pytest.approx(high, abs=6e-4))


@pytest.mark.parametrize("seed", SEEDS)
def test_tangos_score_without_a_margin_is_mcnemars(seed: int) -> None:
    source = random.Random(seed)
    broke, fixed = source.randrange(1, 60), source.randrange(1, 60)
    squared = mcnemar_of_statsmodels([[50, broke], [fixed, 70]], exact=False, correction=False).statistic
    assert tango_score(fixed, broke, 120 + broke + fixed, 0.0) ** 2 == pytest.approx(squared)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("clusters", [6, 11, 60])
def test_sign_flips_are_a_permutation_test_of_cluster_differences(seed: int, clusters: int) -> None:
    source = random.Random(seed)
    sums = [(float(source.randrange(-4, 4)), float(source.randrange(1, 5))) for _ in range(clusters)]
    found = flip(sums)
    values, sizes = np.array(sums).T
    for limit in (0.0, -0.25):
        data = values - limit * sizes

        def total(sample: np.ndarray, axis: int) -> np.ndarray:
            return np.sum(sample, axis=axis)

        for alternative, chance in (("less", found.below(limit)), ("greater", found.above(limit))):
            expected = stats.permutation_test(
                (data,),
                total,
                permutation_type="samples",
                alternative=alternative,
                n_resamples=np.inf if clusters <= 12 else 9999,
                vectorized=True,
                rng=np.random.default_rng(seed),
            ).pvalue
            assert chance == pytest.approx(expected, abs=1e-9 if clusters <= 12 else 0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_delongs_test_is_that_of_mlstatkit(seed: int) -> None:
    source = np.random.default_rng(seed)
    labels = source.integers(0, 2, 80)
    first = np.round(source.normal(labels * 0.8, 1), 1)  # with ties
    second = np.round(0.5 * first + source.normal(labels * 0.5, 1), 1)
    z, _, _, _, area_a, area_b, _ = Delong_test(labels, first, second)
    before, now = (
        area([Scored(str(number), bool(labels[number]), float(scores[number])) for number in range(80)])
        for scores in (first, second)
    )
    assert before is not None
    assert now is not None
    assert (before.area, now.area) == (pytest.approx(area_a), pytest.approx(area_b))
    found = compare_areas(before, now)
    assert found.difference / found.error == pytest.approx(z)


@pytest.mark.parametrize("seed", SEEDS)
def test_midranks_are_those_of_scipy(seed: int) -> None:
    values = [float(value) for value in np.random.default_rng(seed).integers(0, 20, 50)]
    assert midranks(values) == list(stats.rankdata(values))


@pytest.mark.parametrize("seed", SEEDS)
def test_clusters_of_copies_make_an_auc_no_more_certain(seed: int) -> None:
    """Obuchowski's estimate for clusters that hold the same case three times is DeLong's for one of each."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 2, 60)
    tables = [source.normal(labels, 1), source.normal(labels * 0.8, 1)]

    def both(times: int) -> float:
        old, new = (
            area([Scored(str(i // times), bool(labels[i // times]), float(t[i // times])) for i in range(60 * times)])
            for t in tables
        )
        assert old is not None
        assert new is not None
        return compare_areas(old, new).error

    assert both(3) == pytest.approx(both(1))


def f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[0] / (sums[1] + sums[2])


@pytest.mark.parametrize("seed", SEEDS[:4])
@pytest.mark.parametrize("cases", [60, 400])
def test_the_bootstrap_of_f1_is_that_of_scipy(seed: int, cases: int) -> None:
    source = np.random.default_rng(seed)
    labels = source.integers(0, 2, cases)
    before, now = (np.where(source.random(cases) < skill, labels, 1 - labels) for skill in (0.9, 0.8))
    rows = [
        tuple(float(one) for side in (b, n) for one in (side and label, side, label))
        for label, b, n in zip(labels, before, now, strict=True)
    ]
    found = bootstrap(rows, lambda sums: float(f1(np.array(sums[3:])) - f1(np.array(sums[:3]))))

    def difference(label: np.ndarray, old: np.ndarray, new: np.ndarray, axis: int) -> np.ndarray:
        both = [np.array([np.sum(side * label, axis), np.sum(side, axis), np.sum(label, axis)]) for side in (old, new)]
        return f1(both[1]) - f1(both[0])

    check_bootstrap(found.low, found.high, (labels, before, now), difference, seed)


@pytest.mark.parametrize("seed", SEEDS[:4])
@pytest.mark.parametrize("cases", [60, 400])
def test_the_bootstrap_of_log_loss_is_that_of_scipy(seed: int, cases: int) -> None:
    source = np.random.default_rng(seed)
    before, now = source.exponential(0.4, cases), source.exponential(0.5, cases)
    rows = [(float(b), float(n), 1.0) for b, n in zip(before, now, strict=True)]
    found = bootstrap(rows, lambda sums: (sums[1] - sums[0]) / sums[2])

    def difference(old: np.ndarray, new: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(new, axis) - np.mean(old, axis)

    check_bootstrap(found.low, found.high, (before, now), difference, seed)


def check_bootstrap(
    low: float, high: float, data: tuple[np.ndarray, ...], difference: Callable[..., np.ndarray], seed: int
) -> None:
    expected = stats.bootstrap(
        data,
        difference,
        paired=True,
        method="BCa",
        confidence_level=0.9,
        n_resamples=4000,
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    width = expected.high - expected.low
    assert (low, high) == (
        pytest.approx(expected.low, abs=0.08 * width),
        pytest.approx(expected.high, abs=0.08 * width),
    )


@pytest.mark.parametrize(
    ("trials", "chance"), [(5, 0.3), (1000, 0.004), (1000, 0.02), (100_000, 0.3), (50, 0.9), (40, 0.5)]
)
def test_random_numbers_of_successes_are_binomial(trials: int, chance: float) -> None:
    source = random.Random(4)
    drawn = np.array([binomial(source, trials, chance) for _ in range(8000)])
    cells = sorted({int(stats.binom.ppf(level, trials, chance)) for level in np.linspace(0.05, 0.95, 12)})
    edges = [-1, *cells, trials]
    observed = [int(np.sum((drawn > low) & (drawn <= high))) for low, high in itertools.pairwise(edges)]
    shares = np.diff(stats.binom.cdf(edges, trials, chance))
    kept = shares > 0
    assert stats.chisquare(np.array(observed)[kept], shares[kept] / shares[kept].sum() * 8000).pvalue > 0.001


def test_counts_of_a_resample_add_up() -> None:
    source = random.Random(4)
    assert all(sum(multinomial(source, 1000, [0.5, 0.0, 0.3, 0.2])) == 1000 for _ in range(200))


@pytest.mark.parametrize("seed", SEEDS)
def test_runs_that_differ_in_every_case_alike_are_students_test_of_their_means(seed: int) -> None:
    """Without any case that the sides answer differently, runs are all that is left."""
    source = np.random.default_rng(seed)
    before, now = source.normal(0, 1, 4), source.normal(0, 1, 6)
    sides = [[RunOnCases(float(value), [0.25, -0.25, 0.0]) for value in side] for side in (before, now)]
    found = cross(*sides)
    assert found is not None
    expected = stats.ttest_ind(now, before, alternative="less")
    assert found.below(0.0) == pytest.approx(expected.pvalue)
    assert found.freedom == pytest.approx(8)
    assert not math.isnan(found.error)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_variance_of_a_change_is_that_of_a_two_way_analysis(seed: int) -> None:
    """From the textbook's mean squares of runs within sides, cases by sides, and the rest."""
    source = np.random.default_rng(seed)
    runs, cases = 3, 40
    y = (
        source.normal(0, 0.3, (2, runs, 1))
        + source.normal(0, 1, (1, 1, cases))
        + source.normal(0, 0.8, (2, 1, cases))
        + source.normal(0, 0.5, (2, runs, cases))
    )
    run, case, cell = y.mean(2, keepdims=True), y.mean(1, keepdims=True), y.mean((1, 2), keepdims=True)
    of_runs = cases * ((run - cell) ** 2).sum() / (2 * (runs - 1))
    both = case.mean(0, keepdims=True) - y.mean()
    of_cases = runs * ((case - cell - both) ** 2).sum() / (cases - 1)
    rest = ((y - run - case + cell) ** 2).sum() / (2 * (runs - 1) * (cases - 1))
    expected = 2 / (runs * cases) * (of_runs + of_cases - rest)
    sides = [
        [RunOnCases(float(one.mean()), [float(value) for value in (one - one.mean()) / cases]) for one in side]
        for side in y
    ]
    found = cross(*sides)
    assert found is not None
    assert found.error**2 == pytest.approx(expected)
