"""What a pipeline does to a model: its best candidate against the baseline's, metric by metric."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from mltrail_contract import Model

from . import evidence, folds, globs, trials
from .direction import Basis, Better, MetricDirection, direction_by_name, is_rate, is_system
from .evidence import BranchLevel, Evidence
from .grouping import Group, Run, RunState, best, group, ranking_metric, representative, usable
from .numbers import change
from .statistics import Summary

NO_CONTRACT = Model("")
"""What holds for a model of which no contract speaks."""


class Judgement(StrEnum):
    BETTER = "better"
    WORSE = "worse"
    NOISE = "noise"  # a difference that repeats give by chance
    SAME = "same"
    UNKNOWN = "unknown"  # a difference, but nobody can tell what it means
    NEW = "new"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric on both sides. `delta` is current minus baseline, `relative` the same as a share of the baseline.

    `sentence` holds nothing that a user wrote. `evidence` is None where nothing shows what chance does; `level` is
    where the baseline's side stands.
    """

    name: str
    direction: MetricDirection
    baseline: Summary | None
    current: Summary | None
    judgement: Judgement
    sentence: str
    delta: float | None = None
    relative: float | None = None
    evidence: Evidence | None = None
    level: BranchLevel | None = None

    @property
    def loss(self) -> float | None:
        """By how much it got worse; negative when it got better. None where that can't be told."""
        known = self.delta is not None and self.direction.better is not Better.UNKNOWN
        return -self.direction.gain(self.delta) if known and self.delta is not None else None


@dataclass(frozen=True, slots=True)
class ParameterChange:
    """None stands for "not set"."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The best group against the baseline's best. `metrics` begins with the one that ranks, then what matters most.

    `incomparable` says why the two sides can't be compared, in words that hold nothing of a user's; `evades` says that
    this side has made it so. `groups` is how many candidates the best was chosen from; `luck` says that it is the best
    of several by no more than chance gives.
    `confirmed` tells that `best` holds fresh runs of what had won, so that no luck is in its lead.
    `trend` is the ranking metric of the history's pipelines, in its order.
    """

    rank_by: str | None
    best: Group | None
    best_run: Run | None
    baseline: Group | None
    metrics: tuple[MetricChange, ...]
    parameters: tuple[ParameterChange, ...]
    groups: int
    datasets: tuple[ParameterChange, ...] = ()
    incomparable: str | None = None
    trend: tuple[float | None, ...] = ()
    luck: bool = False
    confirmed: bool = False
    evades: bool = False

    def odd(self, metric: str) -> int:
        """Count the best's runs that have logged a metric, and not as a number, where none of the baseline has."""
        if self.baseline is not None and _odd(self.baseline, metric):
            return 0
        return _odd(self.best, metric) if self.best is not None else 0

    @property
    def headline(self) -> MetricChange | None:
        return next((one for one in self.metrics if one.name == self.rank_by), None)


@dataclass(frozen=True, slots=True)
class _Sides:
    """What all metrics share. `history` is the target branch's, newest first, without the baseline."""

    mine: Group
    yours: Group | None
    history: Sequence[Group]
    model: Model
    incomparable: str | None

    def level(self, metric: str) -> BranchLevel | None:
        before = self.yours.metrics.get(metric) if self.yours else None
        if before is None:
            return None
        return evidence.level(before, [one.metrics[metric] for one in self.history if metric in one.metrics])


def compare(
    current: Iterable[Run],
    baseline: Iterable[Run],
    *,
    history: Iterable[Iterable[Run]] = (),
    model: Model = NO_CONTRACT,
    rank_by: str | None = None,
    better: Better | None = None,
) -> Comparison:
    """Compare two pipelines' runs of one model. `history` are the runs of the target branch's pipelines before the
    baseline, newest first. `rank_by` and `better` (its direction) overrule the contract.
    """
    chance = model.repeat_over | frozenset(model.pair_by)
    wanted = [name for name in (rank_by or model.rank_by, *(rule.metric for rule in model.rules)) if name]
    chosen_from, fresh = _parted(current)
    folded = trials.fold(chosen_from, wanted)
    ours = group(folded.runs, repeat_over=chance)
    chosen_before, fresh_before = _parted(baseline)
    theirs = group(trials.fold(chosen_before, wanted).runs, repeat_over=chance)
    metric = rank_by or model.rank_by or ranking_metric(ours)
    direction = MetricDirection(better, Basis.TOLD) if better else direction_of(metric or "", model)
    told_by = rank_by or model.rank_by
    mine, yours = best(ours, metric, direction), _best_before(theirs, told_by, direction, model)
    again = _again(mine, group(fresh, repeat_over=chance))
    mine, yours = again or mine, _again(yours, group(fresh_before, repeat_over=chance)) or yours
    if mine is None:
        return Comparison(metric, None, None, yours, (), (), 0)
    among = len(ours) + sum(max(folded.trials.get(run.iid, 1) for run in one.runs) - 1 for one in ours)
    earlier = [
        _best_before(group(trials.fold(tuple(runs), wanted).runs, repeat_over=chance), told_by, direction, model)
        for runs in history
    ]
    reason, evades = _incomparable(mine, yours, model.same_dataset) if yours else (None, False)
    sides = _Sides(mine, yours, [one for one in earlier if one is not None], model, reason)
    changes = tuple(_metrics(sides, metric, direction, among=1 if again else among))
    return Comparison(
        metric,
        mine,
        representative(mine, metric, direction),
        yours,
        changes,
        tuple(changed_parameters(yours.params, mine.params)) if yours else (),
        among,
        tuple(changed_parameters(_datasets(yours), _datasets(mine))) if yours else (),
        reason,
        tuple(_mean(one, metric) for one in earlier),
        again is None and any(_lucky(one, among) for one in changes if one.name == metric),
        again is not None,
        evades,
    )


def _best_before(
    groups: Sequence[Group], told_by: str | None, direction: MetricDirection, model: Model
) -> Group | None:
    """Choose a baseline's best by what ranks it there: by what a merge request logs it could choose a weak one."""
    if told_by is not None and any(told_by in one.metrics for one in groups):
        return best(groups, told_by, direction)
    metric = ranking_metric(groups)
    return best(groups, metric, direction_of(metric or "", model))


def _parted(runs: Iterable[Run]) -> tuple[tuple[Run, ...], tuple[Run, ...]]:
    """Part the runs among which the best is chosen from those that confirm it, where there are both."""
    found = tuple(runs)
    fresh = tuple(run for run in found if trials.confirms(run) and run.state is RunState.SUCCEEDED)
    chosen_from = tuple(run for run in found if not trials.confirms(run))
    if not any(run.state is RunState.SUCCEEDED for run in chosen_from):
        return found, ()
    return chosen_from, fresh


def _again(winner: Group | None, fresh: Iterable[Group]) -> Group | None:
    """Find the fresh runs of what has won: they alone tell how good it is, since nothing was chosen by them."""
    return next((one for one in fresh if winner is not None and one.params == winner.params), None)


def _odd(group: Group, metric: str) -> int:
    return sum(metric in run.metrics and not usable(run.metrics[metric]) for run in group.runs)


def direction_of(metric: str, model: Model) -> MetricDirection:
    """Tell which way a metric is better: by what the contract says first of it, else by its name."""
    return _directions([metric], model)[metric]


def directions_of(metrics: Collection[str], models: Iterable[Model]) -> dict[str, MetricDirection]:
    """Tell the same of metrics that several models share. Where their rules contradict each other, the name tells."""
    stated: dict[str, set[MetricDirection]] = {name: set() for name in metrics}
    for model in models:
        for name, direction in _directions(metrics, model).items():
            if direction.source is Basis.TOLD:
                stated[name].add(direction)
    return {name: found.pop() if len(found) == 1 else direction_by_name(name) for name, found in stated.items()}


def _directions(metrics: Collection[str], model: Model) -> dict[str, MetricDirection]:
    found: dict[str, MetricDirection] = {}
    if model.rank_by is not None and model.rank_better is not None:
        found[model.rank_by] = MetricDirection(Better(model.rank_better), Basis.TOLD)
    for rule in model.rules:
        if rule.better is not None:
            for name in globs.matching(metrics, rule.metric):
                found.setdefault(name, MetricDirection(Better(rule.better), Basis.TOLD))
    return {name: found.get(name) or direction_by_name(name) for name in metrics}


def changed_parameters(before: Mapping[str, str], after: Mapping[str, str]) -> list[ParameterChange]:
    return [
        ParameterChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def difference_text(name: str, direction: MetricDirection, before: float, now: float) -> str:
    """Write the difference of two values of a metric as people say it."""
    delta = now - before
    return change(
        delta,
        relative=delta / abs(before) if before else None,
        rate=is_rate(name) and 0 <= before <= 1 and 0 <= now <= 1,
        show_relative=direction.better is Better.LOWER and before > 0 and now > 0,
    )


def _mean(one: Group | None, metric: str | None) -> float | None:
    found = one.metrics.get(metric) if one is not None and metric is not None else None
    return found.mean if found is not None else None


def _lucky(one: MetricChange, among: int) -> bool:
    """Tell a gain that would be real for one candidate, but not for the best of so many."""
    if one.evidence is None or one.delta is None or one.direction.gain(one.delta) <= 0:
        return False
    return one.evidence.real() and not one.evidence.real(among=among)


def _metrics(sides: _Sides, rank_by: str | None, direction: MetricDirection, *, among: int) -> list[MetricChange]:
    theirs = sides.yours.metrics if sides.yours else {}
    names = {name for name in sides.mine.metrics.keys() | theirs.keys() if not is_system(name)}
    directions = _directions(names, sides.model)
    changes = [
        _judge(
            sides,
            name,
            direction if name == rank_by else directions[name],
            among=among if name == rank_by else 1,
        )
        for name in names
    ]
    return sorted(changes, key=lambda one: (one.name != rank_by, _ORDER.index(one.judgement), one.name))


def _judge(sides: _Sides, name: str, direction: MetricDirection, *, among: int) -> MetricChange:
    """Say what became of one metric. `among` is how many candidates the best was chosen from by it."""
    now = sides.mine.metrics.get(name)
    before = sides.yours.metrics.get(name) if sides.yours else None
    level = sides.level(name)
    if before is None or now is None or level is None:
        missing = Judgement.NEW if before is None else Judgement.GONE
        sentence = "new, no baseline yet" if before is None else "no longer logged, or not a number"
        return MetricChange(name, direction, before, now, missing, sentence)
    by_fold = None
    if sides.yours and sides.model.pair_by and not sides.incomparable:
        by_fold = folds.paired(sides.yours.runs, sides.mine.runs, name, sides.model.pair_by)
        shared = folds.shared_means(sides.yours.runs, sides.mine.runs, name, sides.model.pair_by)
        if shared and (by_fold or not folds.lost(sides.yours.runs, sides.mine.runs, name, sides.model.pair_by)[0]):
            before, now = replace(before, mean=shared[0]), replace(now, mean=shared[1])
    delta = now.mean - before.mean
    relative = delta / abs(before.mean) if before.mean else None
    difference = difference_text(name, direction, before.mean, now.mean)
    if sides.incomparable:
        return MetricChange(name, direction, before, now, Judgement.UNKNOWN, sides.incomparable, delta, relative)
    if math.isclose(now.mean, before.mean, rel_tol=1e-12, abs_tol=1e-15):
        return MetricChange(name, direction, before, now, Judgement.SAME, "unchanged", delta, relative)
    weighed = by_fold or evidence.weigh(level, now)
    runs = f"{int(by_fold.freedom) + 1} folds" if by_fold else f"{now.n} v {level.runs} runs"
    judgement, words = _judged(direction, weighed, delta, runs, among=among, lone=now.n == 1 and level.runs == 1)
    return MetricChange(
        name, direction, before, now, judgement, f"{difference}{words}", delta, relative, weighed, level
    )


def _judged(
    direction: MetricDirection, weighed: Evidence | None, delta: float, runs: str, *, among: int, lone: bool
) -> tuple[Judgement, str]:
    if weighed is None:
        return Judgement.UNKNOWN, f"; {'1 run' if lone else runs}, noise unknown: add seeds to tell"
    better = direction.gain(delta) > 0
    if not weighed.real():
        return Judgement.NOISE, f", within noise ({runs})"
    if direction.better is Better.UNKNOWN:
        return Judgement.UNKNOWN, f", real ({runs}), unknown direction: is higher or lower better?"
    if better and not weighed.real(among=among):
        return Judgement.NOISE, f", what luck gives the best of {among} ({runs})"
    judgement = Judgement.BETTER if better else Judgement.WORSE
    return judgement, f", {judgement.value}, real ({runs})"


_ORDER = (
    *(Judgement.WORSE, Judgement.BETTER, Judgement.GONE, Judgement.UNKNOWN, Judgement.NEW),
    *(Judgement.NOISE, Judgement.SAME),
)


def _datasets(one: Group) -> dict[str, str]:
    """Name a group's datasets by context; where its runs differ, none."""
    found: dict[str, set[str]] = {}
    for run in one.runs:
        for context, dataset in run.datasets.items():
            found.setdefault(context, set()).add(dataset)
    return {context: names.pop() for context, names in found.items() if len(names) == 1}


def _incomparable(mine: Group, yours: Group, context: str | None) -> tuple[str | None, bool]:
    """Say why two sides can't be compared, and whether it is this one that has made it so."""
    if context is None:
        return None, False
    now, before = _datasets(mine).get(context), _datasets(yours).get(context)
    if before is None:
        return "not comparable: the dataset that the contract names was not logged in the baseline", False
    if now is None:
        return "not comparable: the dataset that the contract names was not logged here", True
    if now != before:
        return "not comparable: another dataset than the baseline's", True
    if _partly(mine, context) and not _partly(yours, context):
        return "not comparable: some runs here have not logged the dataset that the contract names", True
    return None, False


def _partly(group: Group, context: str) -> bool:
    return any(context not in run.datasets for run in group.runs)
