"""May a candidate replace the champion? Not if it is really worse in a metric that ranks or has a rule in the contract.

A loss is real if chance does not explain it, all metrics considered together (Holm). Where there are too few runs to
show what chance does, a fixed bound decides: a loss of more than 5 points of a share, or of more than a tenth of
anything else, is not taken for noise.
"""

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mltrail_contract import Model, Rule

from . import globs, hypotheses
from .comparison import Comparison, MetricChange, difference_text, direction_of
from .direction import Better, is_rate
from .evidence import ENOUGH_FREEDOM
from .grouping import Run, ranking_metric
from .hypotheses import Decision, Family, Hypothesis, Key
from .numbers import decimals_for, number

SHARE_BOUND = 0.05
OTHER_BOUND = 0.1
_SPREADS = 3.0
"""A spread that is known from only a few runs widens the bound to this many times the spread."""

_PERCENT = 100.0


class Standing(StrEnum):
    """How a candidate compares with the champion in one metric."""

    BETTER = "better"
    EVEN = "no clear change"
    WITHIN = "within its limit"
    WORSE = "worse"
    ALLOWED = "worse, allowed by the contract"
    UNCOMPARED = "not compared"


@dataclass(frozen=True, slots=True)
class ChampionMetric:
    """One metric on both sides. `sentence` contains nothing that a user wrote."""

    metric: str
    better: Better
    before: float | None
    now: float | None
    standing: Standing
    sentence: str


@dataclass(frozen=True, slots=True)
class ChampionComparison:
    """A candidate compared with the champion. `version` is the champion's; None when there is nothing to compare with.
    `why_not` says why there is no comparison, also when the two were measured on different data.
    """

    version: str | None
    lines: tuple[ChampionMetric, ...] = ()
    why_not: str = ""

    @property
    def worse(self) -> list[ChampionMetric]:
        return [one for one in self.lines if one.standing is Standing.WORSE]


def against_champion(
    compared: Comparison, model: Model, *, branch: str, allowed: Sequence[str], ranked: str | None = None
) -> tuple[ChampionMetric, ...]:
    """Compare the ranking metric, and the metrics that have rules, with the champion's. `allowed` are globs of metrics
    that may be worse; `ranked` is another metric that ranks: the champion's own.
    """
    changes = {one.name: one for one in compared.metrics}
    ruled = _ruled(model, changes, branch)
    ranks = [one.name for one in compared.metrics if one.name in (compared.rank_by, ranked)]
    chosen = [changes[name] for name in dict.fromkeys((*ranks, *sorted(ruled)))]
    decided = _decided(chosen)
    may = globs.matching_any(changes, allowed)
    return tuple(
        _line(
            one,
            ruled.get(one.name, ()),
            decided.get(one.name),
            allowed=one.name in may,
            odd=compared.odd(one.name) if one.name in ruled else 0,
        )
        for one in chosen
    )


def ranked_before(compared: Comparison, now: Iterable[Run], model: Model) -> str | None:
    """Name the metric that ranked the champion, if its direction is certain and it is still logged: a new metric, or
    one that fewer runs have, must not hide how this one has changed.
    """
    metric = ranking_metric([compared.baseline]) if compared.baseline is not None else None
    if metric is None or not direction_of(metric, model).certain:
        return None
    return metric if any(metric in run.metrics for run in now) else None


def _ruled(model: Model, changes: Mapping[str, MetricChange], branch: str) -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in model.rules:
        if rule.target is None or fnmatch.fnmatchcase(branch, rule.target):
            for name in globs.matching(changes, rule.metric):
                found.setdefault(name, []).append(rule)
    return found


def _decided(chosen: Sequence[MetricChange]) -> dict[str, Decision]:
    """Test all metrics together, with as few false alarms as for one."""
    tested = [
        Hypothesis(Key("", one.name), Family.OTHER, one.direction.better, evidence=one.evidence)
        for one in chosen
        if one.direction.certain
    ]
    return {key.metric: decision for key, decision in hypotheses.decide(tested).items()}


def _line(
    one: MetricChange, rules: Sequence[Rule], decision: Decision | None, *, allowed: bool, odd: int
) -> ChampionMetric:
    standing, sentence = _standing(one, rules, decision)
    if odd and one.direction.certain and one.baseline is not None and one.current is not None:
        # The mean of the other runs would hide a training that diverged.
        standing, sentence = Standing.WORSE, f"; not a number in {odd} {'run' if odd == 1 else 'runs'}"
    if standing is Standing.WORSE and allowed:
        standing = Standing.ALLOWED
    before, now = (side.mean if side is not None else None for side in (one.baseline, one.current))
    return ChampionMetric(one.name, one.direction.better, before, now, standing, f"{_values(before, now)}{sentence}")


def _standing(one: MetricChange, rules: Sequence[Rule], decision: Decision | None) -> tuple[Standing, str]:
    if not one.direction.certain:
        which = "only guessed" if one.direction.guessed else "unknown"
        return Standing.UNCOMPARED, f"; its direction is {which}"
    if one.baseline is None:
        return Standing.UNCOMPARED, "; the champion has not logged it"
    if one.current is None or one.loss is None:
        return Standing.WORSE, "; no longer logged, or not a number"
    if math.isclose(one.current.mean, one.baseline.mean, rel_tol=1e-12, abs_tol=1e-15):
        return Standing.EVEN, ""
    amount = difference_text(one.name, one.direction, one.baseline.mean, one.current.mean)
    difference = f" ({amount.replace(' (', ', ').removesuffix(')')})"  # it may have a percentage in brackets of its own
    if one.loss <= 0:
        return (Standing.BETTER if decision is not None and decision.better else Standing.EVEN), difference
    worse = decision is not None and decision.worse
    standing, why = _of_a_loss(one, one.loss, one.baseline.mean, rules, worse=worse)
    return standing, difference + why


def _of_a_loss(
    one: MetricChange, loss: float, before: float, rules: Sequence[Rule], *, worse: bool
) -> tuple[Standing, str]:
    tolerances = [rule.worse_by for rule in rules if rule.worse_by is not None]
    amounts = [abs(before) * each.amount / _PERCENT if each.percent else each.amount for each in tolerances]
    if amounts and loss <= min(amounts) * (1 + 1e-9):
        return Standing.WITHIN, ""
    if worse:
        return Standing.WORSE, ", more than chance"
    bound = _bound(one)
    if loss > bound * (1 + 1e-9):
        return Standing.WORSE, ", too much to pass while too few runs show what chance does"
    return Standing.EVEN, ", no more than chance makes" if math.isinf(
        bound
    ) else ", too few runs to tell it from chance"


def _bound(one: MetricChange) -> float:
    """Return how large a loss may be noise: any loss that the evidence takes for noise, if the champion's side shows
    how large noise is.

    The candidate's own runs don't count: runs that were made to spread would hide any drop.
    """
    spread = _champion_spread(one)
    if spread is not None and one.evidence is not None and one.evidence.freedom >= ENOUGH_FREEDOM:
        return math.inf
    before, now = (side.mean if side else 0.0 for side in (one.baseline, one.current))
    highest = max(abs(before), abs(now))
    if is_rate(one.name) and min(before, now) >= 0 and highest <= _PERCENT:
        plain = SHARE_BOUND if highest <= 1 else SHARE_BOUND * _PERCENT
    else:
        plain = OTHER_BOUND * highest
    return max(plain, _SPREADS * (spread or 0.0))


def _champion_spread(one: MetricChange) -> float | None:
    """Return the champion's spread from run to run; None when it is unknown, or smaller than the candidate's."""
    hidden = one.evidence is not None and one.evidence.hidden is not None
    return one.level.sd if one.level is not None and not hidden else None


def _values(before: float | None, now: float | None) -> str:
    spread = abs(now - before) if before is not None and now is not None else 0.0
    decimals = min(decimals_for(spread), 6) if spread else None
    first, second = ("none" if one is None else number(one, decimals=decimals) for one in (before, now))
    return f"{first} → {second}"
