"""Decide which differences of a merge request are more than chance: all its models, metrics and rules together.

A merge request with nothing changed is told that something is worse in at most one of twenty cases, however many
metrics it has. Two families share that chance separately: the rules that can fail the gate, and everything else.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from . import conformal, statistics
from .conformal import FEWEST, Ranked
from .direction import Better
from .evidence import ALPHA, POWER, Ends, Evidence
from .statistics import Summary
from .winners import ALONE

FIRST = 0.9
"""The share of the 5 % that the first look may use."""

ENOUGH_PIPELINES = 19
"""With so many, ranks alone can tell, and single runs of several models are tested as one."""


class Family(StrEnum):
    """Hypotheses that share one chance of a false alarm."""

    FAIL = "fail"  # rules with `then: fail` that compare with the baseline
    OTHER = "other"  # rules with `then: warn`, and metrics without a rule


@dataclass(frozen=True, slots=True)
class Key:
    """Names a hypothesis: `rule` is its place in the model's contract, None for a metric without a rule. With `cases`,
    `metric` is the name of a table of cases.
    """

    model: str
    metric: str
    rule: int | None = None
    cases: bool = False


class Weighed(Protocol):
    """A difference (current minus baseline), and how well it is known."""

    def below(self, limit: float) -> float:
        """Return how often chance alone makes the difference this low, if the true difference is `limit`."""

    def above(self, limit: float) -> float:
        """Return how often chance alone makes the difference this high, if the true difference is `limit`."""

    @property
    def low(self) -> float:
        """A bound of the true difference: it is lower in at most one of twenty cases."""

    @property
    def high(self) -> float:
        """A bound of the true difference: it is higher in at most one of twenty cases."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look knew of a metric on this side, and the share of the 5 % that it may use."""

    share: float
    now: Summary
    evidence: Weighed | None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """That a metric is worse by more than `tolerance` (in the metric's unit), and that it is better at all.

    `evidence` is None where nothing shows how large chance is. With a single run on each side, `now` is its value and
    `history` those of the target branch's pipelines by pipeline id, the baseline's included; otherwise `history` is
    empty. `share` is what this look may use of the 5 %, and `earlier` is the same hypothesis at earlier looks at the
    same files and the same configuration, newest first.
    """

    key: Key
    family: Family
    better: Better
    tolerance: float = 0.0
    evidence: Weighed | None = None
    now: float = math.nan
    history: Mapping[int, float] = field(default_factory=dict)
    share: float = FIRST
    earlier: "tuple[Hypothesis, ...]" = ()

    def at(self, looks: Sequence[Look], branch: Mapping[int, float]) -> "Hypothesis":
        """Return this hypothesis with what the looks, newest first, knew. `branch` are the values of the target
        branch's pipelines, by pipeline id, if each has a single run.
        """
        seen = [
            replace(
                self,
                evidence=one.evidence,
                now=one.now.mean,
                history=branch if one.now.n == 1 else {},
                share=one.share,
            )
            for one in looks
        ]
        return replace(seen[0], earlier=tuple(seen[1:]))


@dataclass(frozen=True, slots=True)
class Decision:
    """`p_worse` and `p_better` are one-sided and corrected for the `family`, which has this many `tests`. `alpha` is
    what the p of this one alone has to reach if nothing else in the family has changed. `was_worse`: an earlier look at
    the same files found it worse.

    `evidence` is that of the hypothesis, with an interval that is corrected in the same way: it leaves out a loss of
    the tolerance exactly when this is worse, and 0 exactly when it is better. A single run was held against `ranked`
    pipelines; by its rank among them, a loss of `seen` beyond the tolerance would be seen in four of five cases.
    """

    worse: bool
    better: bool
    p_worse: float
    p_better: float
    alpha: float = ALPHA
    was_worse: bool = False
    evidence: Evidence | None = None
    ranked: int = 0
    seen: float = 0.0
    family: Family = Family.OTHER
    tests: int = 1


class _Corrected(NamedTuple):
    """`p` is corrected for being several, `alpha` is what it has to be without that. `end` is the end of the interval
    that a test by ranks allows, and `seen` is which change it would see.
    """

    p: float
    alpha: float
    end: float | None = None
    seen: float = 0.0


def shares_of(runs: Sequence[int], planned: int | None = None) -> list[float]:
    """Return the share of the 5 % that each look may use, the oldest first. `runs` are how many runs were known at
    each, and `planned` is how many the baseline has.

    The first look with as many runs as planned (or as there will ever be) has nine tenths; those before it none, so
    that splitting a training into many pipelines gains nothing. What is left is spent as runs are added.

    Spending by information: K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials",
    Biometrika 70 (1983).
    """
    enough = min(runs[-1], planned or runs[-1])
    first = next(one for one in runs if one >= enough)
    spent = [1 - (1 - FIRST) * first / one if one >= enough else 0.0 for one in runs]
    return [after - before for before, after in itertools.pairwise((0.0, *spent))]


def decide(hypotheses: Sequence[Hypothesis]) -> dict[Key, Decision]:
    """Decide all hypotheses of a merge request. Those without evidence, or without a known direction, are left out."""
    found: dict[Key, Decision] = {}
    for family in Family:
        blocks = _blocks([one for one in hypotheses if one.family is family and one.better is not Better.UNKNOWN])
        tested = [one for block in blocks for one in block]
        worse, better = _replayed(blocks, tested, gain=False), _replayed(blocks, tested, gain=True)
        ranked: dict[Key, int] = {}
        for block in blocks:
            ranked |= dict.fromkeys((one.key for one in block), len(_common(block)))
        for one in tested:
            (loss, was), (gain, _) = worse[one.key], better[one.key]
            found[one.key] = Decision(
                loss.p <= ALPHA,
                gain.p <= ALPHA,
                loss.p,
                gain.p,
                ALPHA * _spent(one) / len(tested),
                was <= ALPHA,
                _with_ends(one, loss, gain),
                ranked[one.key],
                loss.seen,
                family,
                len(tested),
            )
    return found


def _spent(one: Hypothesis) -> float:
    """Return the share of the newest look that spends some: one that doesn't has as many runs as the one before it."""
    return one.share or next((each.share for each in one.earlier if each.share), FIRST)


def _with_ends(one: Hypothesis, loss: _Corrected, gain: _Corrected) -> Evidence | None:
    """Correct the evidence's interval as its tests are corrected. What compares cases has intervals of its own."""
    if not isinstance(one.evidence, Evidence):
        return None
    not_above, not_below = (one.tolerance, 0.0) if one.better is Better.LOWER else (0.0, -one.tolerance)
    below, above = (loss, gain) if one.better is Better.LOWER else (gain, loss)
    lowest = below.end if below.end is not None else math.inf
    highest = above.end if above.end is not None else -math.inf
    if not one.share:  # the same seeds again test nothing, though their repeats may have another mean
        lowest = min(lowest, not_above) if below.p > ALPHA else lowest
        highest = max(highest, not_below) if above.p > ALPHA else highest
    return replace(one.evidence, ends=Ends(below.alpha, above.alpha, lowest, highest))


def _replayed(
    blocks: Sequence[list[Hypothesis]], tested: Sequence[Hypothesis], *, gain: bool
) -> dict[Key, tuple[_Corrected, float]]:
    """Test each look by what was known then. What one of them has found holds, however many follow, unless the runs of
    all looks together speak against it. Returns each p, and that of the earlier looks alone.
    """
    now = _together(blocks, len(tested), gain=gain)
    looks = max((len(one.earlier) for one in tested), default=0)
    if not looks:
        return {key: (found, 1.0) for key, found in now.items()}
    lowest = dict.fromkeys(now, 1.0)
    for place in range(looks):
        seen = [one.earlier[place] for one in tested if place < len(one.earlier)]
        for key, found in _together(_blocks(seen), len(tested), gain=gain).items():
            lowest[key] = min(lowest[key], found.p)
    free = [[replace(one, share=1.0) for one in block] for block in blocks]
    pooled = _together(free, len(tested), gain=gain)
    both = {}
    for key, found in now.items():
        interval = pooled[key] if lowest[key] <= ALPHA else found
        both[key] = interval._replace(p=max(pooled[key].p, min(found.p, lowest[key]))), lowest[key]
    return both


def _blocks(family: Sequence[Hypothesis]) -> list[list[Hypothesis]]:
    """Separate what is tested together: all repeats, and single runs with the same earlier pipelines."""
    repeats = [one for one in family if one.evidence is not None and not one.history]
    # Without a spread, history shows only that the seed is fixed.
    singles = [one for one in family if one.evidence is not None and one.history]
    of_model: dict[str, list[Hypothesis]] = {}
    for one in singles:
        of_model.setdefault(one.key.model, []).append(one)
    grouped = [singles] if len(_common(singles)) >= ENOUGH_PIPELINES else list(of_model.values())
    return [block for block in (repeats, *grouped) if block and (block is repeats or len(_common(block)) >= FEWEST)]


def _common(block: Sequence[Hypothesis]) -> list[int]:
    """List the pipelines that all have."""
    if not block:
        return []
    return sorted(set.intersection(*(set(one.history) for one in block)))


def _together(blocks: Sequence[list[Hypothesis]], tested: int, *, gain: bool) -> dict[Key, _Corrected]:
    """Correct p-values for being several. Each block gets its share of the 5 %, by how many hypotheses it has."""
    corrected: dict[Key, _Corrected] = {}
    for block in blocks:
        share = len(block) / tested
        tests = _of_singles(block, share, gain=gain) if block[0].history else _of_repeats(block, share, gain=gain)
        for one, found in zip(block, tests, strict=True):
            corrected[one.key] = found._replace(p=min(1.0, found.p / share))
    return corrected


def _of_singles(block: Sequence[Hypothesis], share: float, *, gain: bool) -> list[_Corrected]:
    """Require both that the new pipeline stands out from all others, whatever the metrics' shape is, and that each
    metric does from where the branch is now, however it has moved.
    """
    pipelines = _common(block)
    values, signs = [], []
    for one in block:
        sign = -1 if (one.better is Better.LOWER) is not gain else 1
        new = sign * one.now + (0.0 if gain else one.tolerance)
        values.append([new, *(sign * one.history[each] for each in pipelines)])
        signs.append(sign)
    by_rank = _by_rank(block, values, share, gain=gain)
    by_level = _of_repeats(block, share, gain=gain)
    return [
        level._replace(
            p=max(ranked.chance, level.p),
            end=one.now - sign * ranked.bar,
            seen=sign * (one.now - _difference(one)) - ranked.seen,
        )
        for sign, ranked, level, one in zip(signs, by_rank, by_level, block, strict=True)
    ]


def _by_rank(
    block: Sequence[Hypothesis], values: Sequence[Sequence[float]], share: float, *, gain: bool
) -> list[Ranked]:
    """Hold each metric's first value against the others, and pay for the looks. If the best of several does not stand
    out on the high side, that means more than for a single run.
    """
    times = [1.0 if gain else _times(one) for one in block]
    if max(times) == 1:
        ranks = conformal.step_down(values, [ALPHA * share * _spent(one) for one in block])
        return [each._replace(chance=_paid(each.chance, one.share)) for one, each in zip(block, ranks, strict=True)]
    asked = list(zip(values, times, [_lucky(one) for one in block], strict=True))
    found = [conformal.best_of(each, ALPHA, many, lucky).chance for each, many, lucky in asked]
    paid = [_paid(chance, one.share) for one, chance in zip(block, found, strict=True)]
    return [
        conformal.best_of(each, corrected.alpha, many, lucky)._replace(chance=corrected.p)
        for (each, many, lucky), corrected in zip(asked, _holm(block, paid, share), strict=True)
    ]


def _times(one: Hypothesis) -> float:
    """Return how many times as many candidates this side's best was certainly chosen from as the target branch's."""
    contest = one.evidence.contest if isinstance(one.evidence, Evidence) else ALONE
    return max(1.0, contest.alike_here / contest.there) if contest.ranks else 1.0


def _lucky(one: Hypothesis) -> float:
    """Return how far above their level, in four of five cases, the best of this side's candidates is at most."""
    if not isinstance(one.evidence, Evidence):
        return 0.0
    return one.evidence.sd * statistics.normal_quantile(POWER ** (1 / one.evidence.contest.here))


def _difference(one: Hypothesis) -> float:
    return one.evidence.difference if isinstance(one.evidence, Evidence) else 0.0


def _chance(one: Hypothesis, *, gain: bool) -> float:
    """Return how often chance alone makes a gain, or a loss beyond the tolerance, as large as this one, after paying
    for the look.
    """
    if one.evidence is None:
        return 1.0
    limit = 0.0 if gain else one.tolerance
    rises = (one.better is Better.LOWER) is not gain
    found = one.evidence.above(limit) if rises else one.evidence.below(-limit)
    return _paid(found, one.share)


def _paid(chance: float, share: float) -> float:
    return min(1.0, chance / share) if share else 1.0


def _of_repeats(block: Sequence[Hypothesis], share: float, *, gain: bool) -> list[_Corrected]:
    return _holm(block, [_chance(one, gain=gain) for one in block], share)


def _holm(block: Sequence[Hypothesis], chances: Sequence[float], share: float) -> list[_Corrected]:
    """Correct p-values for being several, which together may use a share of the 5 %.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
    """
    corrected = [_Corrected(1.0, ALPHA)] * len(block)
    highest, left = 0.0, len(block)
    for place, number in enumerate(sorted(range(len(block)), key=lambda number: chances[number])):
        if highest <= ALPHA * share:
            left = len(block) - place
        highest = max(highest, min(1.0, chances[number] * (len(block) - place)))
        corrected[number] = _Corrected(highest, ALPHA * share * _spent(block[number]) / left)
    return corrected
