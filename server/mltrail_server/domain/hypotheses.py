"""Decide which differences of a merge request are more than chance: all its models, metrics and rules together.

A merge request with nothing changed is told that something is worse in at most one of twenty cases, however many
metrics it has. Two families share that chance separately: the rules that can fail the gate, and everything else.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from . import conformal
from .conformal import FEWEST
from .direction import Better
from .evidence import ALPHA, Evidence

_FIRST = 0.9
_ENOUGH_PIPELINES = 19
"""With so many, single runs of several models are tested as one."""


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
    """`p_worse` and `p_better` are one-sided and corrected for the family. `alpha` is what the p of this one alone has
    to reach if nothing else in the family has changed.
    """

    worse: bool
    better: bool
    p_worse: float
    p_better: float
    alpha: float = ALPHA


def share_of(looks: int) -> float:
    """Return the share of the 5 % that a look may use: nine tenths for the first, half of what is left for each other.

    Looks are paid in advance (P. C. O'Brien and T. R. Fleming, Biometrics 35 (1979), and K. K. G. Lan and D. L. DeMets,
    "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983)), so any number of retries stays at 5 %.
    """
    return _FIRST if looks <= 1 else (1 - _FIRST) * 0.5 ** (looks - 1)


def decide(hypotheses: Sequence[Hypothesis]) -> dict[Key, Decision]:
    """Decide all hypotheses of a merge request. Those without evidence, or without a known direction, are left out."""
    found: dict[Key, Decision] = {}
    for family in Family:
        blocks = _blocks([one for one in hypotheses if one.family is family and one.better is not Better.UNKNOWN])
        tested = [one for block in blocks for one in block]
        worse, better = _together(blocks, tested, gain=False), _together(blocks, tested, gain=True)
        for one, p_worse, p_better in zip(tested, worse, better, strict=True):
            alpha = ALPHA * share_of(one.looks) / len(tested)
            found[one.key] = Decision(p_worse <= ALPHA, p_better <= ALPHA, p_worse, p_better, alpha)
    return found


def _blocks(family: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    """Separate what is tested together: all repeats, and single runs with the same earlier pipelines."""
    repeats = [one for one in family if one.evidence is not None and not one.history]
    # Without a spread, history shows only that the seed is fixed.
    singles = [one for one in family if one.evidence is not None and one.history]
    of_model: dict[str, list[Hypothesis]] = {}
    for one in singles:
        of_model.setdefault(one.key.model, []).append(one)
    grouped = [singles] if len(_common(singles)) >= _ENOUGH_PIPELINES else list(of_model.values())
    return [block for block in (repeats, *grouped) if block and (block is repeats or len(_common(block)) >= FEWEST)]


def _common(block: Sequence[Hypothesis]) -> list[int]:
    """List the pipelines that all have."""
    if not block:
        return []
    return sorted(set.intersection(*(set(one.history) for one in block)))


def _together(blocks: Sequence[list[Hypothesis]], tested: Sequence[Hypothesis], *, gain: bool) -> list[float]:
    """Correct p-values for being several. Each block gets its share of the 5 %, by how many hypotheses it has."""
    corrected: list[float] = []
    for block in blocks:
        chances = (
            _of_singles(block, gain=gain) if block[0].history else _holm([_chance(one, gain=gain) for one in block])
        )
        corrected += [min(1.0, chance * len(tested) / len(block)) for chance in chances]
    return corrected


def _of_singles(block: Sequence[Hypothesis], *, gain: bool) -> list[float]:
    """Require both that the new pipeline stands out from all others, whatever the metrics' shape is, and that each
    metric does from where the branch is now, however it has moved.
    """
    pipelines = _common(block)
    values = []
    for one in block:
        sign = -1 if (one.better is Better.LOWER) is not gain else 1
        new = sign * one.now + (0.0 if gain else one.tolerance)
        values.append([new, *(sign * one.history[each] for each in pipelines)])
    by_rank = conformal.step_down(values)
    by_level = _holm([_chance(one, gain=gain) for one in block])
    return [
        max(ranked / share_of(one.looks), level) for ranked, level, one in zip(by_rank, by_level, block, strict=True)
    ]


def _chance(one: Hypothesis, *, gain: bool) -> float:
    """Return how often chance alone makes a gain, or a loss beyond the tolerance, as large as this one, after paying
    for the look.
    """
    if one.evidence is None:
        return 1.0
    limit = 0.0 if gain else one.tolerance
    rises = (one.better is Better.LOWER) is not gain
    found = one.evidence.above(limit) if rises else one.evidence.below(-limit)
    return min(1.0, found / share_of(one.looks))


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
