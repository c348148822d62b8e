"""The gate is as right as it promises: a few of the situations that `python -m benchmarks.gate` simulates at length.

The bounds are such that a gate that only just keeps its promise breaks one in at most 1 of 1,000 runs; since the seed
is fixed, it is broken by a change of the code alone.
"""

import math
import random

import pytest
from benchmarks.gate.findings import Finding
from benchmarks.gate.results import REQUIRED
from benchmarks.gate.simulation import Simulated, simulate
from benchmarks.gate.situations import ONE_DROPS_MORE, UNCHANGED, every_cell

from mltrail_contract import Outcome
from tests.reports import Sides, a_report

REQUESTS = 60
BY_CHANCE = 1e-3
PROMISED = 0.05
SITUATIONS = {situation.slug: situation for situation, _ in every_cell()}
CHANGES = {change.name: change for _, change in every_cell()}


def chance_of(found: int, share: float) -> float:
    """The probability that exactly so many of the merge requests have what a share of them has."""
    return math.comb(REQUESTS, found) * share**found * (1 - share) ** (REQUESTS - found)


def most(share: float) -> int:
    """So many or fewer are found, except by chance."""
    return next(n for n in range(REQUESTS) if sum(chance_of(k, share) for k in range(n + 1, REQUESTS + 1)) < BY_CHANCE)


def least(share: float) -> int:
    """So many or more are found, except by chance."""
    return REQUESTS - most(1 - share)


@pytest.mark.parametrize(
    "slug",
    [
        "five-metrics",
        "one-run-20",
        "left-skew-one-run",
        "best-of-10-main",
        "best-of-10-one-good",
        "retries",
        "cases-crossed-3",
    ],
)
def test_a_rule_seldom_breaks_where_nothing_changed(slug: str) -> None:
    found = simulate(SITUATIONS[slug], UNCHANGED, requests=REQUESTS)
    assert found[Finding.BROKEN] <= most(PROMISED)


@pytest.mark.parametrize(("slug", "change"), [one for one in REQUIRED if one[0] != "eight-runs"])
def test_a_drop_is_seen(slug: str, change: str) -> None:
    found = simulate(SITUATIONS[slug], CHANGES[change], requests=REQUESTS)
    assert found[Finding.SEEN] >= least(REQUIRED[slug, change])


def test_a_report_says_of_simulated_runs_what_is_counted() -> None:
    simulated = Simulated(SITUATIONS["three-metrics"], ONE_DROPS_MORE, random.Random(1))
    (model,) = simulated.models
    rules = [f"{{metric: {one.metric}, better: {one.better}, worse_by: 0}}" for one in model.contract.rules]
    text = (
        f"version: 1\nmodels: {{model-0: {{same_dataset: test, rank_by: val_accuracy, rules: [{', '.join(rules)}]}}}}"
    )
    outcomes = []
    for _ in range(10):
        found = simulated.request()
        report = a_report({"model-0": Sides(model.runs, model.branch[0], model.branch[1:])}, text)
        outcomes.append(report.gate.outcome)
        assert (report.gate.outcome is Outcome.FAIL) == (Finding.BROKEN in found)
    assert {Outcome.PASS, Outcome.FAIL} == set(outcomes)
