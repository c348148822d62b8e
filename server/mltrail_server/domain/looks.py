"""Each pipeline of a merge request on the same files is another look at the same candidate: all of them count.

Otherwise training again until chance is kind would pass any gate. Runs with the same seed count once, since they may
repeat each other to the last digit.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import datasets, trace_metrics
from .grouping import Group, Run, RunState, group_of, usable
from .hypotheses import FIRST, shares_of
from .statistics import MeanError, Summary, t_two_sided, welch

_APART = 0.01
"""Looks that chance separates less often than this are not pooled: something that is not in the files has changed."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A candidate as an earlier look saw it, with the runs of those before; `share` is what that look spends."""

    group: Group
    share: float


@dataclass(frozen=True, slots=True)
class Pool:
    """A candidate with the runs of earlier looks at it. `newest` is the group of the newest pipeline alone, `group` has
    the runs of all looks; `looks` counts them, and `earlier` the runs that only earlier ones have. `apart` is set if
    the earlier looks differ too clearly to count.

    `share` is what the newest look spends of the 5 %, and `stages` are the earlier ones that spend any, newest first.
    """

    newest: Group
    group: Group
    looks: int = 1
    earlier: int = 0
    apart: bool = False
    share: float = FIRST
    stages: tuple[Stage, ...] = ()

    @property
    def sentence(self) -> str:
        """Say which runs count; "" if only the newest pipeline's do. It contains nothing that a user wrote."""
        own, times = len(self.newest.runs), self.looks - 1
        if self.apart:
            return (
                "Earlier runs on the same files gave clearly different results (p < 1 %), so they are not counted: "
                "something outside the repository has changed"
            )
        if times == 0:
            return ""
        if self.earlier == 0:
            often = "once more" if times == 1 else f"{times} times more"
            return f"{_runs(own)} here, trained {often} with the same seeds on the same files: each counts as its mean"
        whose = "an earlier one" if times == 1 else f"{times} earlier ones"
        return (
            f"{_runs(own + self.earlier)} here: {own} of this pipeline and {self.earlier} of {whose} on the same files"
        )


def pool(
    newest: Group,
    earlier: Iterable[Sequence[Group]],
    *,
    planned: int | None = None,
    decisive: Collection[str] | None = None,
) -> Pool:
    """Add the runs that earlier looks (the newest first) have of the same candidate on the same data. `planned` is how
    many runs the baseline has. Only a `decisive` metric can keep looks apart, or else any could be logged to do so;
    None means all.

    A look that only repeats what is known, to the last digit, adds nothing and is not counted.
    """
    alone = Pool(newest, newest)
    found = [same for groups in earlier if (same := _same(newest, groups)) is not None]
    if not found:
        return alone
    if _are_apart(newest, found, decisive):
        return replace(alone, apart=True)
    slots: dict[tuple[object, int], list[Run]] = {}
    stages = [
        {key: len(known) for key, known in slots.items()} for group in (*reversed(found), newest) if _add(group, slots)
    ]
    more = len(slots) - len(_slots(newest))
    if len(stages) == 1 and not more:
        return alone
    groups = [_stage(newest, slots, one) for one in stages]
    counts = [len(one) for one in stages]
    *shares, share = shares_of(counts, planned)
    before = [Stage(group, one) for group, one in zip(groups, shares, strict=False) if one]
    looks = max(len(stages), 2 if more else 1)
    return Pool(newest, groups[-1], looks, more, share=share, stages=tuple(reversed(before)))


def _add(group: Group, slots: dict[tuple[object, int], list[Run]]) -> bool:
    """Add a look's runs to those of the looks before; returns whether it has news."""
    news = False
    for key, (run,) in _slots(group).items():
        known = slots.setdefault(key, [])
        if all(_logged(run) != _logged(one) for one in known):
            known.append(run)
            news = True
    return news


def _stage(
    newest: Group, slots: Mapping[tuple[object, int], Sequence[Run]], counts: Mapping[tuple[object, int], int]
) -> Group:
    """Return the group as it was when each slot had so many repeats. The newest of all stands for the run."""
    runs = [replace(slots[key][-1], metrics=_mean_of(slots[key][:count])) for key, count in counts.items()]
    return group_of(newest.params, sorted(runs, key=lambda run: run.iid))


def attempts(runs: Iterable[Run]) -> list[list[Run]]:
    """Return the runs of a pipeline's retried jobs whose jobs had succeeded, as earlier looks, the newest first.

    Pressing "retry" until a bad seed is gone must not help.
    """
    by_job: dict[str, dict[int, list[Run]]] = {}
    for run in runs:
        if run.state is RunState.SUPERSEDED and run.had_succeeded:
            by_job.setdefault(run.job_name, {}).setdefault(run.job_id or 0, []).append(run)
    tries = [[of_job[job] for job in sorted(of_job, reverse=True)] for of_job in by_job.values()]
    most = max(map(len, tries), default=0)
    return [
        [_revived(run) for of_job in tries if place < len(of_job) for run in of_job[place]] for place in range(most)
    ]


def _revived(run: Run) -> Run:
    return replace(run, state=RunState.SUCCEEDED)


def _same(newest: Group, groups: Sequence[Group]) -> Group | None:
    """Find the group with the same parameters that was measured on the same data."""
    data = datasets.shared_by(newest.runs)
    return next((one for one in groups if one.params == newest.params and datasets.shared_by(one.runs) == data), None)


def _slots(group: Group) -> dict[tuple[object, int], list[Run]]:
    """Give each run a key that is the same for the same seed in another look. Runs that a pipeline has several times
    keep a key each.
    """
    slots: dict[tuple[object, int], list[Run]] = {}
    for run in group.runs:
        key, place = _identity(run, group), 0
        while (key, place) in slots:
            place += 1
        slots[key, place] = [run]
    return slots


def _identity(run: Run, group: Group) -> object:
    """Tell runs apart by their seed and fold; where no seed was logged, by their results."""
    return _chances(run, group) or _logged(run)


def _chances(run: Run, group: Group) -> tuple[tuple[str, str], ...]:
    """Return a run's seed and the like: the parameters that are none of its group's."""
    return tuple(sorted(one for one in run.params.items() if one[0] not in group.params))


def _logged(run: Run) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in run.metrics.items() if name not in trace_metrics.NAMES))


def _mean_of(repeats: Sequence[Run]) -> Mapping[str, float]:
    """Average the repeats of one seed. What was not a number once stays so: training again does not undo it."""
    if len(repeats) == 1:
        return repeats[0].metrics
    values: dict[str, list[float]] = {}
    for run in repeats:
        for name, value in run.metrics.items():
            values.setdefault(name, []).append(value)
    return {name: _mean(found) for name, found in values.items()}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if all(map(usable, values)) else math.nan


def without_copies(group: Group) -> Group:
    """Count runs of a pipeline with the same seed and exactly the same results once: copies of a lucky run would
    outweigh the others. If there is nothing but copies, they stay, since they show that the seed is fixed.
    """
    chances = [_chances(run, group) for run in group.runs]
    often = Counter(chances)
    kept: dict[object, Run] = {}
    for run, chance in zip(group.runs, chances, strict=True):
        kept[(chance, _logged(run)) if chance and often[chance] > 1 else run.iid] = run
    return group_of(group.params, tuple(kept.values())) if 1 < len(kept) < len(group.runs) else group


def _are_apart(newest: Group, earlier: Sequence[Group], decisive: Collection[str] | None) -> bool:
    """Whether the newest look differs from the earlier ones in a decisive metric, all of these considered together."""
    before = group_of(newest.params, [run for group in earlier for run in group.runs]).metrics
    chances = [
        chance
        for name, now in newest.metrics.items()
        if name in before
        and (decisive is None or name in decisive)
        and (chance := _chance(now, before[name])) is not None
    ]
    return any(chance * len(chances) < _APART for chance in chances)


def _chance(now: Summary, before: Summary) -> float | None:
    """Test whether two means differ (Welch, two-sided); None where a side has too few runs to tell."""
    if now.sd is None or before.sd is None:
        return None
    if not now.sd and not before.sd:
        return 1.0 if math.isclose(now.mean, before.mean, rel_tol=1e-12, abs_tol=1e-15) else 0.0
    error, freedom = welch(_error(now), _error(before))
    return t_two_sided((now.mean - before.mean) / error, freedom)


def _error(one: Summary) -> MeanError:
    return MeanError((one.sd or 0.0) / math.sqrt(one.n), one.n - 1)


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"
