"""Decide which differences of a merge request are more than chance: all its models, metrics and rules together.

A merge request with nothing changed is told that something is worse in at most one of twenty cases, however many
metrics it has. Two families share that chance separately: the rules that can fail the gate, and everything else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .direction import Better
from .evidence import ALPHA, Evidence


class Family(StrEnum):
    """Hypotheses that share one chance of a false alarm."""

    FAIL = "fail"  # rules with `then: fail` that compare with the baseline
    OTHER = "other"  # rules with `then: warn`, and metrics without a rule


@dataclass(frozen=True, slots=True)
class Key:
    """Names a hypothesis: `rule` is its place in the model's contract, None for a metric without a rule."""

    model: str
    metric: str
    rule: int | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """That a metric is worse by more than `tolerance` (in the metric's unit), and that it is better at all.

    `evidence` is None where nothing shows how large chance is. `looks` is how many times this merge request has already
    been judged on the same files and the same configuration, this time included: each look costs. With a single run on
    each side, `now` is its value and `history` those of the target branch's pipelines by pipeline id, the baseline's
    included; otherwise `history` is empty.
    """

    key: Key
    family: Family
    better: Better
    tolerance: float = 0.0
    evidence: Evidence | None = None
    looks: int = 1
    now: float = math.nan
    history: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """`p_worse` and `p_better` are one-sided and corrected for the family."""

    worse: bool
    better: bool
    p_worse: float
    p_better: float


def decide(hypotheses: Sequence[Hypothesis]) -> dict[Key, Decision]:
    """Decide all hypotheses of a merge request. Those without evidence, or without a known direction, are left out."""
    found: dict[Key, Decision] = {}
    for family in Family:
        tested = [one for one in hypotheses if one.family is family and _testable(one)]
        worse = _holm([_chance_of_loss(one) for one in tested])
        better = _holm([_chance_of_gain(one) for one in tested])
        for one, p_worse, p_better in zip(tested, worse, better, strict=True):
            found[one.key] = Decision(p_worse <= ALPHA, p_better <= ALPHA, p_worse, p_better)
    return found


def _testable(one: Hypothesis) -> bool:
    return one.evidence is not None and one.better is not Better.UNKNOWN


def _chance_of_loss(one: Hypothesis) -> float:
    if one.evidence is None:
        return 1.0
    if one.better is Better.LOWER:
        return one.evidence.above(one.tolerance)
    return one.evidence.below(-one.tolerance)


def _chance_of_gain(one: Hypothesis) -> float:
    if one.evidence is None:
        return 1.0
    return one.evidence.below(0.0) if one.better is Better.LOWER else one.evidence.above(0.0)


def _holm(chances: Sequence[float]) -> list[float]:
    """Correct p-values for being several.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    corrected = [1.0] * len(chances)
    highest = 0.0
    for place, number in enumerate(sorted(range(len(chances)), key=lambda number: chances[number])):
        highest = max(highest, min(1.0, chances[number] * (len(chances) - place)))
        corrected[number] = highest
    return corrected
