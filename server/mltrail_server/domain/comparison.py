"""How a pipeline changes a model: its best candidate compared with the baseline's, metric by metric.

This only measures. What a difference means is said by `judgement`, for all models of a merge request together.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from mltrail_contract import Contract, Model

from . import datasets, evidence, folds, overfitting
from . import history as branch_history
from .datasets import Incomparable
from .direction import Basis, Better, MetricDirection, direction_of, directions_in, is_system
from .evidence import BranchLevel, Evidence
from .grouping import Group, Run, ranking_metric, representative, usable
from .history import NOTHING, Counted
from .hypotheses import FIRST, Decision, Look
from .looks import Pool, Stage
from .ranking import Candidates, Chosen, Ranking
from .statistics import Summary, summarise
from .verdict import Verdict
from .winners import ALONE, Contest

_FEW = 3
_MANY = 20
NO_CONTRACT = Model("")
"""The rules for a model that no contract mentions."""


def contract_of(contract: Contract | None, name: str) -> Model:
    """Return a model's part of a contract; the one without rules if nothing mentions the model."""
    return contract.models.get(name, NO_CONTRACT) if contract else NO_CONTRACT


NO_BASELINE = "no baseline yet"
"""Why nothing can be said about what the target branch has never logged."""


@dataclass(frozen=True, slots=True)
class MetricChange:
    """One metric on both sides. `delta` is current minus `before`, which is what it is held to; `relative` is that as a
    share of `before`.

    `evidence` is None where nothing shows how large chance differences are; `level` is the baseline's level. `earlier`
    is what earlier looks knew, newest first.
    `judgement` fills in the rest: `verdict` with its `reason` and, where more is to be known, `advice` on what would
    tell. Neither contains anything that a user wrote.
    """

    name: str
    direction: MetricDirection
    baseline: Summary | None
    current: Summary | None
    delta: float | None = None
    relative: float | None = None
    evidence: Evidence | None = None
    level: BranchLevel | None = None
    verdict: Verdict = Verdict.CANT_TELL
    reason: str = ""
    advice: str = ""
    decision: Decision | None = None
    earlier: tuple[Look, ...] = ()

    @property
    def before(self) -> float | None:
        """What it is held to: the branch's level over its last pipelines where that is known, else the baseline."""
        if self.current is not None and self.evidence is not None:
            return self.current.mean - self.evidence.difference
        return self.baseline.mean if self.baseline is not None else None

    @property
    def sentence(self) -> str:
        """The reason, and what would tell."""
        return f"{self.reason}; {self.advice}" if self.advice else self.reason

    @property
    def loss(self) -> float | None:
        """How much worse it got; negative when it got better. None when that is not known."""
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
    """The best group compared with the baseline's best. `metrics` begins with the ranking metric, then what matters
    most.

    `incomparable` says why the two sides can't be compared, and contains nothing that a user wrote; `evades` is set
    when this side is the cause. `groups` is how many candidates the best was chosen from; `luck` is set when its lead
    is no larger than the best of so many has by chance. `confirmed` is set when `best` holds fresh runs of the winner,
    so that its lead is not luck. `history` is the best of each earlier pipeline of the target branch, newest first,
    without the baseline, and `counted` says which of them count. `looks` is how many pipelines of this merge request
    have judged the same files and the same configuration, this one included; `pooled` is how many of the best's runs
    came from the earlier ones, while `best_run` is always of the newest. `share` is what this look may use of the 5 %,
    and `stages` is what earlier ones knew. `set_aside` are further runs of the best, which don't count because they
    failed or were deleted, unless the baseline has such runs, too. `remarks` are sentences that no verdict rests on,
    without anything that a user wrote.
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
    history: tuple[Group | None, ...] = ()
    luck: bool = False
    confirmed: bool = False
    evades: bool = False
    looks: int = 1
    pooled: int = 0
    share: float = FIRST
    stages: tuple[Stage, ...] = ()
    counted: Counted = NOTHING
    set_aside: Group | None = None
    remarks: tuple[str, ...] = ()

    @property
    def comparable(self) -> tuple[Group | None, ...]:
        """The history's pipelines that show the baseline's level, in their places; None for the others."""
        return tuple(one if place in self.counted.level else None for place, one in enumerate(self.history))

    def odd(self, metric: str) -> int:
        """Count the best's runs that logged a metric as NaN or infinity, unless the baseline has such runs too."""
        if self.baseline is not None and _odd(self.baseline, metric):
            return 0
        return _odd(self.best, metric) if self.best is not None else 0

    def diverged(self, metric: str) -> str:
        """Say in how many of the best's runs a metric is not a number, unless the baseline has such runs too."""
        return _diverged(self.best, metric) if self.best is not None and self.odd(metric) else ""

    def missing(self, metric: str) -> str:
        """Say why the best has no value of a metric."""
        return (_diverged(self.best, metric) if self.best is not None else "") or "no longer logged"

    def lacking(self, metric: str) -> int:
        """Count the best's runs that have a seed or logged other metrics, but lack this one, unless the baseline has
        such runs too.
        """
        if self.best is None or (self.baseline is not None and _lacking(self.baseline, metric)):
            return 0
        return _lacking(self.best, metric)

    @property
    def trend(self) -> tuple[float | None, ...]:
        """The ranking metric in the history's pipelines, in their order."""
        return tuple(_mean(one, self.rank_by) for one in self.history)

    @property
    def headline(self) -> MetricChange | None:
        return next((one for one in self.metrics if one.name == self.rank_by), None)


@dataclass(frozen=True, slots=True)
class _Sides:
    """What all metrics share. `history` holds the best of each earlier pipeline of the target branch, newest first,
    without the baseline. `levels` are the target branch's, and `pair_by` is empty where nothing is compared by fold.
    """

    pool: Pool
    yours: Group | None
    history: tuple[Group | None, ...]
    model: Model
    incomparable: Incomparable | None
    counted: Counted
    levels: Mapping[str, BranchLevel]
    ranks: str | None
    pair_by: Sequence[str]
    contest: Contest = ALONE

    @property
    def mine(self) -> Group:
        return self.pool.group

    def has_ties(self, metric: str) -> bool:
        """Whether runs of the target branch have equal values by chance, as shares of few cases do."""
        sides = [one.values_of(metric) for one in (self.yours, *self.history) if one is not None]
        return any(len(set(values)) < len(values) for values in sides)

    def independent(self, group: Group, metric: str, level: BranchLevel) -> Summary | None:
        """Summarise a metric of this side without copies of some of its runs. If all are copies of one, `weigh` finds
        that out.
        """
        now = group.metrics.get(metric)
        if now is None or now.n < _FEW or self.pair_by:
            return now
        values = group.values_of(metric)
        ties = len(set(values)) < now.n and self._never_ties(metric)
        kept = evidence.without_copies_of_some(values, level, ties=ties)
        return summarise(kept) if 1 < len(kept) < now.n else now

    def _never_ties(self, metric: str) -> bool:
        """Whether so many runs of the target branch all have different values that equal ones can't be chance."""
        values = [value for one in (self.yours, *self.history) if one is not None for value in one.values_of(metric)]
        return len(values) >= _MANY and len(set(values)) == len(values)

    def contest_in(self, metric: str, direction: MetricDirection) -> Contest:
        """Say how the best was chosen, seen from one metric."""
        if direction.better is Better.UNKNOWN:
            return ALONE
        return replace(self.contest, ranks=metric == self.ranks, lower=direction.better is Better.LOWER)


def compare(
    current: Iterable[Run],
    baseline: Iterable[Run],
    *,
    history: Iterable[Iterable[Run]] = (),
    earlier: Iterable[Iterable[Run]] = (),
    model: Model = NO_CONTRACT,
    rank_by: str | None = None,
    better: Better | None = None,
) -> Comparison:
    """Compare two pipelines' runs of one model. `history` holds the runs of the target branch's pipelines before the
    baseline, `earlier` those of earlier looks at the same files, both newest first. `rank_by` and `better` (its
    direction) overrule the contract.
    """
    ranking = Ranking(model, rank_by or model.rank_by)
    current, baseline = tuple(current), tuple(baseline)
    ours, theirs = ranking.candidates(current), ranking.candidates(baseline)
    metric = ranking.stated or ranking_metric(ours.groups)
    direction = MetricDirection(better, Basis.STATED) if better else direction_of(metric or "", model)
    champion = ranking.best_before(theirs.groups, direction)
    yours = theirs.confirmation_of(champion) or champion
    planned = len(yours.runs) if yours is not None else None
    looked = [ranking.candidates(runs) for runs in earlier]
    found = ranking.choose(ours, looked, (metric, direction), planned=planned)
    if found is None:
        return Comparison(metric, None, None, yours, (), (), 0)
    before = tuple(ranking.best_before(ranking.groups(tuple(runs)), direction) for runs in history)
    counted = branch_history.counted(yours, before, same_dataset=model.same_dataset)
    sides = _Sides(
        found.pool,
        yours,
        before,
        model,
        datasets.incomparable(found.pool.newest, yours, model.same_dataset),
        counted,
        _levels(yours, before, counted, metric),
        metric,
        model.pair_by if yours is not None and folds.has_any(yours.runs, model.pair_by) else (),
    )
    sides = replace(sides, contest=_contest(found, ours, theirs, sides, direction))
    aside = ranking.set_aside(current, found.pool.newest)
    if yours is not None and ranking.set_aside(baseline, yours) is not None:
        aside = None
    compared = _compared(sides, metric, direction, tries=ours.tries, confirmed=found.confirmed)
    return replace(compared, set_aside=aside)


def _levels(
    yours: Group | None, history: Sequence[Group | None], counted: Counted, ranks: str | None
) -> dict[str, BranchLevel]:
    """Estimate the target branch's level in each of the baseline's metrics."""
    level, spread = (
        [one for place in places if (one := history[place]) is not None] for places in (counted.level, counted.spread)
    )
    return {
        name: evidence.level(
            before,
            [one.metrics[name] for one in level if name in one.metrics],
            [one.metrics[name] for one in spread if name in one.metrics],
        )
        for name, before in (yours.metrics.items() if yours is not None else ())
        if name == ranks or not is_system(name)
    }


def _compared(
    sides: _Sides, metric: str | None, direction: MetricDirection, *, tries: int, confirmed: bool
) -> Comparison:
    changes = _metrics(sides, metric, direction)
    newest, before = sides.pool.newest, sides.yours or sides.mine
    return Comparison(
        metric,
        sides.mine,
        representative(newest, metric, direction),
        sides.yours,
        tuple(changes),
        tuple(changed_parameters(before.params, newest.params)),
        tries,
        datasets=tuple(changed_parameters(datasets.shared_by(before.runs), datasets.shared_by(newest.runs))),
        incomparable=sides.incomparable.reason if sides.incomparable else None,
        history=sides.history,
        confirmed=confirmed,
        evades=sides.incomparable is not None and sides.incomparable.ours,
        counted=sides.counted,
        looks=sides.pool.looks,
        pooled=sides.pool.earlier,
        share=sides.pool.share,
        stages=sides.pool.stages,
        remarks=tuple(
            one
            for one in (sides.pool.sentence, _copied(changes), _partly_copied(sides, changes), _drift(sides, changes))
            if one
        ),
    )


def _copied(changes: Sequence[MetricChange]) -> str:
    """Say that runs count as one because they hardly differ; "" if they don't."""
    found = [(one.current.n, one.evidence.copies) for one in changes if one.current and _copies(one) and one.evidence]
    if not found:
        return ""
    runs, times = min(((runs, copies or 0.0) for runs, copies in found), key=lambda each: each[1])
    varied = [one for one in changes if one.current and one.current.n > 1 and one.evidence is not None]
    where = f"In {len(found)} of {len(varied)} metrics, the" if len(found) < len(varied) else "The"
    if math.isinf(times):
        return (
            f"{where} {runs} runs here gave exactly the same numbers, as if they shared one seed: they count as one run"
        )
    less = f"{10 ** int(math.log10(times)):,} times less than runs on the target branch do"
    return f"{where} {runs} runs here differ {less}, as if they shared one seed: they count as one run"


def _partly_copied(sides: _Sides, changes: Sequence[MetricChange]) -> str:
    """Say that some runs are copies of others; "" if none are."""
    counts = [
        (all_of.n, one.current.n)
        for one in changes
        if one.current is not None and (all_of := sides.mine.metrics.get(one.name)) is not None
    ]
    found = [(every, kept) for every, kept in counts if kept < every]
    if not found:
        return ""
    every, kept = min(found, key=lambda each: each[1] / each[0])
    return f"Of the {every} runs here, some hardly differ, as if they shared a seed: they count as {kept}"


def _copies(one: MetricChange) -> bool:
    return one.evidence is not None and one.evidence.copies is not None


def _drift(sides: _Sides, changes: Sequence[MetricChange]) -> str:
    """Say whether training and validation drift apart; "" if they don't."""
    if sides.incomparable:
        return ""
    level, spread = (
        [one for place in places if (one := sides.history[place]) is not None]
        for places in (sides.counted.level, sides.counted.spread)
    )
    found = overfitting.drift(
        sides.mine,
        sides.yours,
        overfitting.Background(level, spread),
        {one.name: one.direction for one in changes},
        has_improved=lambda name: any(_has_improved(one) for one in changes if one.name == name),
    )
    return found.sentence if found is not None else ""


def _has_improved(one: MetricChange) -> bool:
    return one.loss is not None and one.loss < 0 and one.evidence is not None and one.evidence.p <= evidence.ALPHA


def _contest(found: Chosen, ours: Candidates, theirs: Candidates, sides: _Sides, direction: MetricDirection) -> Contest:
    """Say how many candidates each side's best was chosen from. Fresh runs of a winner were not chosen, so they count
    as one.
    """
    metric = sides.ranks
    if metric is None or direction.better is Better.UNKNOWN:
        return ALONE
    level = sides.levels.get(metric)
    champion = theirs.confirmation_of(sides.yours)
    (here, alike_here), (there, alike_there) = (
        (1, 1) if confirmed else (one.contenders(metric, direction, level), one.alike(metric, direction, level))
        for one, confirmed in ((ours, found.confirmed), (theirs, champion is not None))
    )
    return Contest(here, there, alike_here, alike_there)


def _odd(group: Group, metric: str) -> int:
    return sum(metric in run.metrics and not usable(run.metrics[metric]) for run in group.runs)


def _diverged(group: Group, metric: str) -> str:
    odd, runs = _odd(group, metric), len(group.runs)
    if not odd:
        return ""
    return "diverged: not a number" if runs == 1 else f"diverged: not a number in {odd} of {runs} runs"


def _lacking(group: Group, metric: str) -> int:
    def has_trained(run: Run) -> bool:
        return bool(run.metrics or run.params.keys() - group.params.keys())

    return sum(has_trained(run) and metric not in run.metrics for run in group.runs)


def changed_parameters(before: Mapping[str, str], after: Mapping[str, str]) -> list[ParameterChange]:
    return [
        ParameterChange(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _mean(one: Group | None, metric: str | None) -> float | None:
    found = one.metrics.get(metric) if one is not None and metric is not None else None
    return found.mean if found is not None else None


def _metrics(sides: _Sides, rank_by: str | None, direction: MetricDirection) -> list[MetricChange]:
    theirs = sides.yours.metrics if sides.yours else {}
    names = {name for name in sides.mine.metrics.keys() | theirs.keys() if not is_system(name)}
    directions = directions_in(names, sides.model)
    changes = [_measured(sides, name, direction if name == rank_by else directions[name]) for name in names]
    return sorted(changes, key=lambda one: (one.name != rank_by, one.name))


def _measured(sides: _Sides, name: str, direction: MetricDirection) -> MetricChange:
    now = sides.mine.metrics.get(name)
    before = sides.yours.metrics.get(name) if sides.yours else None
    level = sides.levels.get(name)
    if before is None or now is None or level is None:
        return MetricChange(name, direction, before, now)
    contest = sides.contest_in(name, direction)
    now = sides.independent(sides.mine, name, level) or now
    before, now, by_fold = _fold_by_fold(sides, name, before, now)
    weighed = None if sides.incomparable else by_fold or evidence.weigh(level, now, contest)
    if weighed is not None and weighed.copies == math.inf and sides.has_ties(name):
        weighed = replace(weighed, copies=None)
    delta = weighed.difference if weighed is not None else now.mean - before.mean
    held_to = now.mean - delta
    relative = delta / abs(held_to) if held_to else None
    if sides.incomparable:
        return MetricChange(name, direction, before, now, delta, relative)
    earlier = _earlier(sides, name, level, contest)
    return MetricChange(name, direction, before, now, delta, relative, weighed, level, earlier=earlier)


def _earlier(sides: _Sides, name: str, level: BranchLevel, contest: Contest) -> tuple[Look, ...]:
    """Test what each earlier look knew."""
    found = []
    for stage in sides.pool.stages:
        now = sides.independent(stage.group, name, level)
        if now is None or sides.yours is None:
            continue
        by_fold = folds.paired(sides.yours.runs, stage.group.runs, name, sides.pair_by) if sides.pair_by else None
        found.append(Look(stage.share, now, by_fold or evidence.weigh(level, now, contest)))
    return tuple(found)


def _fold_by_fold(
    sides: _Sides, metric: str, before: Summary, now: Summary
) -> tuple[Summary, Summary, Evidence | None]:
    """Compare cross-validation fold by fold where the contract asks for it: returns both sides' means over the folds
    that they share, and what the folds show.
    """
    pair_by = sides.pair_by
    if sides.yours is None or not pair_by or sides.incomparable:
        return before, now, None
    paired = folds.paired(sides.yours.runs, sides.mine.runs, metric, pair_by)
    shared = folds.shared_means(sides.yours.runs, sides.mine.runs, metric, pair_by)
    lost, _ = folds.lost(sides.yours.runs, sides.mine.runs, metric, pair_by)
    if shared and (paired or not lost):
        before, now = replace(before, mean=shared[0]), replace(now, mean=shared[1])
    return before, now, paired
