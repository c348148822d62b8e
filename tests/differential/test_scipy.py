"""Our t and F distributions beside SciPy's, which the environment of the training clients brings."""

import itertools
import json
import subprocess

import pytest

from mltrail_server.domain.statistics import Summary, f_two_sided, t_quantile, t_two_sided
from tests.places import TRAIN_PYTHON
from tests.welch import welch_p

FREEDOMS = [1, 1.5, 2, 3, 4.7, 8, 19, 50.25, 400, 1e5]
TS = [1e-6, 0.1, 0.7, 1, 1.96, 3.3, 8, 40]
PROBABILITIES = [0.5, 0.6, 0.9, 0.95, 0.975, 0.995, 0.9999]
RATIOS = [1e-3, 0.2, 0.9, 1, 1.1, 4, 60]
FEW = [1, 2, 4, 9, 28]
SPREADS = [(0.01, 5, 0.01, 5), (0.2, 2, 0.001, 20), (3, 30, 4, 3)]

SCRIPT = """
import itertools, json, sys
from scipy import stats
asked = json.load(sys.stdin)
print(json.dumps({
    "t": [2 * stats.t.sf(t, df) for t, df in itertools.product(asked["ts"], asked["freedoms"])],
    "quantiles": [stats.t.ppf(p, df) for p, df in itertools.product(asked["probabilities"], asked["freedoms"])],
    "f": [
        2 * min(stats.f.cdf(ratio, a, b), stats.f.sf(ratio, a, b))
        for ratio, a, b in itertools.product(asked["ratios"], asked["few"], asked["few"])
    ],
    "welch": [
        stats.ttest_ind_from_stats(0.8, sd_a, a, 0.81, sd_b, b, equal_var=False).pvalue
        for sd_a, a, sd_b, b in asked["spreads"]
    ],
}))
"""


@pytest.fixture(scope="module")
def scipy() -> dict[str, list[float]]:
    asked = {
        "ts": TS,
        "freedoms": FREEDOMS,
        "probabilities": PROBABILITIES,
        "ratios": RATIOS,
        "few": FEW,
        "spreads": SPREADS,
    }
    ran = subprocess.run(
        [TRAIN_PYTHON, "-c", SCRIPT], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    results: dict[str, list[float]] = json.loads(ran.stdout)
    return results


def test_the_t_distribution(scipy: dict[str, list[float]]) -> None:
    ours = [t_two_sided(t, freedom) for t, freedom in itertools.product(TS, FREEDOMS)]
    assert ours == pytest.approx(scipy["t"], rel=1e-8, abs=1e-300)


def test_its_quantiles(scipy: dict[str, list[float]]) -> None:
    ours = [t_quantile(probability, freedom) for probability, freedom in itertools.product(PROBABILITIES, FREEDOMS)]
    assert ours == pytest.approx(scipy["quantiles"], rel=1e-8, abs=1e-9)


def test_the_f_distribution(scipy: dict[str, list[float]]) -> None:
    ours = [f_two_sided(ratio, a, b) for ratio, a, b in itertools.product(RATIOS, FEW, FEW)]
    assert ours == pytest.approx(scipy["f"], rel=1e-8, abs=1e-14)


def test_welch_s_test(scipy: dict[str, list[float]]) -> None:
    found = [welch_p(Summary(0.8, sd_a, a), Summary(0.81, sd_b, b)) for sd_a, a, sd_b, b in SPREADS]
    assert found == pytest.approx(scipy["welch"], rel=1e-9)
