"""What luck gives the best of several, beside an independent implementation."""

import math
import random

import pytest
from scipy import stats

from mltrail_server.domain import evidence
from mltrail_server.domain.evidence import Contest
from mltrail_server.domain.statistics import summarise
from mltrail_server.domain.winners import contenders


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
