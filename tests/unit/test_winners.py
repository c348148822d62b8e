"""What luck gives the best of several, beside an independent implementation."""

import math
import random

import pytest
from scipy import stats

from mltrail_server.domain import conformal, evidence
from mltrail_server.domain.evidence import Contest
from mltrail_server.domain.statistics import MeanError, summarise
from mltrail_server.domain.winners import alike, contenders


@pytest.mark.parametrize("k", [2, 4])
def test_the_best_of_several_against_a_control_is_dunnetts_test(k: int) -> None:
    rng = random.Random(k)
    control = [rng.gauss(0, 1) for _ in range(60)]
    groups = [[rng.gauss(0.25, 1) for _ in range(60)] for _ in range(k)]
    winner = max(groups, key=sum)
    weighed = evidence.weigh(evidence.level(summarise(control)), summarise(winner), Contest(here=k))
    assert weighed is not None
    # Dunnett pools all groups' spreads, the product those of the two that it compares.
    squares = math.fsum((len(one) - 1) * summarise(one).sd ** 2 for one in [control, *groups])
    pooled = math.sqrt(squares / (59 * (k + 1)))
    scaled = [[weighed.sd / pooled * (value - sum(one) / 60) + sum(one) / 60 for value in one] for one in groups]
    centre = sum(control) / 60
    about = [weighed.sd / pooled * (value - centre) + centre for value in control]
    found = stats.dunnett(*scaled, control=about, alternative="greater", random_state=1).pvalue.min()
    assert weighed.above(0.0) == pytest.approx(found, rel=0.1, abs=0.002)


def test_only_candidates_near_the_best_count() -> None:
    near = [summarise([0.80, 0.81, 0.82]), summarise([0.79, 0.81, 0.83])]
    assert contenders([*near, summarise([0.1, 0.11, 0.12])]) == 2
    assert contenders([*near, summarise([0.1, 0.11, 0.12])], lower=True) == 1
    assert contenders([summarise([0.8]), summarise([0.1])]) == 2


def test_only_candidates_that_hardly_differ_from_the_best_surely_had_a_chance() -> None:
    behind = [summarise([0.78, 0.79, 0.80]), summarise([0.79, 0.80, 0.81]), summarise([0.797, 0.807, 0.817])]
    assert alike([*behind, summarise([0.80, 0.81, 0.82])]) == 2
    assert alike([summarise([0.8]), summarise([0.795]), summarise([0.6])]) == 1  # nothing shows how far chance goes
    assert alike([summarise([0.8]), summarise([0.795]), summarise([0.6])], MeanError(0.01, 19)) == 2
    assert alike([summarise([0.8]), summarise([0.795]), summarise([0.6])], MeanError(0.01, 19), lower=True) == 1


def test_chance_makes_no_difference_of_any_size_however_many_the_best_was_chosen_from() -> None:
    rng = random.Random(2)
    for many in (Contest(50, 1, 8), Contest(1, 50), Contest(10, 10, 4, 4), Contest(50, 1, 8, ranks=False)):
        branch = [summarise([rng.gauss(0, 1)]) for _ in range(20)]
        found = evidence.weigh(evidence.level(branch[0], branch[1:]), summarise([rng.gauss(0, 1)]), many)
        assert found is not None
        assert found.below(found.difference + 25 * found.sd) < 1e-5
        assert found.above(found.difference - 25 * found.sd) < 1e-5
        assert -math.inf < found.low < found.high < math.inf


@pytest.mark.parametrize(("k", "k0"), [(8, 1), (1, 8), (8, 8)])
def test_the_best_of_several_against_the_best_of_others_is_as_simulated(k: int, k0: int) -> None:
    """A branch of which only the newest pipeline is known, and a spread that others have shown."""
    rng = random.Random(3)
    repeats = [[rng.gauss(0, 1) for _ in range(4)] for _ in range(20)]
    level = evidence.level(summarise([0.0]), [], [summarise(one) for one in repeats])
    differences = []
    for _ in range(5000):
        best, other = (max(rng.gauss(0, 1) for _ in range(one)) for one in (k, k0))
        differences.append((best - other) / math.sqrt(rng.gammavariate(level.freedom / 2, 2 / level.freedom)))
    for now in (-1.0, 0.5, 1.5, 3.0):
        found = evidence.weigh(level, summarise([now]), Contest(k, k0, k, k0))
        assert found is not None
        lower = sum(one * found.sd < now for one in differences)
        assert found.below(0.0) == pytest.approx(lower / len(differences), abs=0.025)


@pytest.mark.parametrize(("n", "k", "above"), [(20, 8, 12), (20, 50, 3), (6, 3, 6), (30, 1, 29)])
def test_how_many_are_above_the_best_of_several_has_a_distribution_of_any_shape(n: int, k: int, above: int) -> None:
    rng = random.Random(n)
    earlier = sorted((rng.expovariate(1) for _ in range(n)), reverse=True)
    new = earlier[above - 1] - 1e-9
    found = conformal.best_of([new, *earlier], 0.05, k, 0.0)
    # The highest of all n + k are then all of the n.
    exact = stats.hypergeom(n + k, n, above).pmf(above)
    assert found.chance <= exact + 1e-12
    if above < n:
        assert found.chance == pytest.approx(exact)
    assert (new < found.bar) == (found.chance <= 0.05)
