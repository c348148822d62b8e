"""May a candidate replace the champion? Not if it is worse in a metric that ranks or has a rule in the contract.

It is worse if chance does not explain the loss beyond what a rule tolerates, all metrics considered together. The
champion is held to the mean of its runs and to the branch's level before it, never to one lucky value. Where too few
runs show what chance does, a fixed bound decides: a loss of more than 5 points of a share, or of more than a tenth of
anything else, does not pass.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mltrail_contract import Model, Rule

from . import globs, hypotheses, rules
from .comparison import Comparison, MetricChange
from .differences import Difference
from .direction import Better, direction_of, is_of_training, is_rate
from .evidence import ENOUGH_FREEDOM
from .grouping import Run, ranking_metric
from .hypotheses import Decision, Family, Hypothesis, Key
from .numbers import number
from .origins import Origin
from .tested import Tested
from .verdict import Verdict

SHARE_BOUND = 0.05
OTHER_BOUND = 0.1
_SPREADS = 3.0
"""A spread that is known from only a few runs widens the bound to this many times the spread."""

_PERCENT = 100.0


class Standing(StrEnum):
    """How a candidate compares with the champion in one metric: a verdict, or what became of it."""

    BETTER = "better"
    EVEN = "no clear change"
    CANT_TELL = "can't tell yet"
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
    `why_not` says why there is no comparison, also when the two were measured on different data. `imported` is where
    the champion was imported from, so that nothing here has verified it, and it is `unconfirmed` until the contract
    says whether it counts.
    """

    version: str | None
    lines: tuple[ChampionMetric, ...] = ()
    why_not: str = ""
    imported: Origin | None = None
    unconfirmed: bool = False

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
    decided = _decided(chosen, ruled)
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
        if rules.applies(rule, branch):
            for name in globs.matching(changes, rule.metric):
                found.setdefault(name, []).append(rule)
    return found


def _decided(chosen: Sequence[MetricChange], ruled: Mapping[str, Sequence[Rule]]) -> dict[str, Decision]:
    """Test all metrics together, with as few false alarms as for one."""
    tested = [
        Hypothesis(
            Key("", one.name),
            Family.FAIL,
            one.direction.better,
            _allowed(one, ruled.get(one.name, ())) or 0.0,
            one.evidence,
        )
        for one in chosen
        if one.direction.certain
    ]
    return {key.metric: decision for key, decision in hypotheses.decide(tested).items()}


def _allowed(one: MetricChange, of_it: Sequence[Rule]) -> float | None:
    """Return the loss that the strictest rule tolerates; None if no rule compares."""
    tolerances = [rule.worse_by for rule in of_it if rule.worse_by is not None]
    return min((rules.allowed(each, one.before or 0.0) for each in tolerances), default=None)


def _line(
    one: MetricChange, of_it: Sequence[Rule], decision: Decision | None, *, allowed: bool, odd: int
) -> ChampionMetric:
    standing, sentence = _standing(one, of_it, decision)
    if odd and one.direction.certain and one.baseline is not None and one.current is not None:
        # The mean of the other runs would hide a training that diverged.
        standing, sentence = Standing.WORSE, f"diverged: not a number in {odd} {'run' if odd == 1 else 'runs'}"
    if standing is Standing.WORSE and allowed:
        standing = Standing.ALLOWED
    now = one.current.mean if one.current is not None else None
    text = f"{_values(one, one.before, now)}{', ' if sentence else ''}{sentence}"
    return ChampionMetric(one.name, one.direction.better, one.before, now, standing, text)


def _standing(one: MetricChange, of_it: Sequence[Rule], decision: Decision | None) -> tuple[Standing, str]:
    if not one.direction.certain:
        return Standing.UNCOMPARED, f"its direction is {'only guessed' if one.direction.guessed else 'unknown'}"
    if one.baseline is None:
        return Standing.UNCOMPARED, "the champion has not logged it"
    if one.current is None or one.loss is None:
        return Standing.WORSE, "no longer logged, or not a number"
    allowed = _allowed(one, of_it)
    found = Tested(
        one.name,
        one.direction,
        one.baseline,
        one.current,
        one.evidence,
        decision,
        one.level,
        allowed,
        trained_on=is_of_training(one.name),
    ).found()
    if found.verdict is Verdict.CANT_TELL and one.loss > max(_bound(one), allowed or 0.0) * (1 + 1e-9):
        return Standing.WORSE, f"{found.sentence}, but this is too much to pass"
    return Standing(found.verdict.value), found.sentence


def _bound(one: MetricChange) -> float:
    """Return how large a loss may be chance: any loss that the test takes for chance, if the champion's side shows what
    chance does.

    The candidate's own runs don't count: runs that were made to spread would hide any drop.
    """
    spread = _champion_spread(one)
    if spread is not None and one.evidence is not None and one.evidence.freedom >= ENOUGH_FREEDOM:
        return math.inf
    before, now = one.before or 0.0, one.current.mean if one.current else 0.0
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


def _values(one: MetricChange, before: float | None, now: float | None) -> str:
    if before is not None and now is not None:
        return " → ".join(Difference(one.name, one.direction, before, now).values)
    return " → ".join("none" if value is None else number(value) for value in (before, now))
