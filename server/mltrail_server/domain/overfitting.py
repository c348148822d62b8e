"""Do training and validation drift apart? That is worth a remark, and never a verdict.

A wider gap alone is no loss, and a better training metric alone is no gain.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from . import evidence
from .direction import Better, MetricDirection, is_rate, splits
from .evidence import ALPHA
from .grouping import Group, Run, usable
from .numbers import change
from .statistics import Summary, summarise


@dataclass(frozen=True, slots=True)
class Drift:
    """The gap between a metric in training and in validation, positive where training is better, has clearly grown.
    The names are as users wrote them, the sentence has none.
    """

    train: str
    validation: str
    before: float
    now: float
    p: float

    @property
    def sentence(self) -> str:
        rate = is_rate(self.train) and abs(self.before) <= 1 and abs(self.now) <= 1
        grown = change(self.now - self.before, relative=None, rate=rate, show_relative=False).removeprefix("+")
        return f"Train and validation drift apart: the gap has grown by {grown}, and validation is no better"


@dataclass(frozen=True, slots=True)
class Background:
    """What the target branch shows: the best of the pipelines with the baseline's parameters, and of others."""

    level: Sequence[Group] = ()
    spread: Sequence[Group] = ()


def drift(
    mine: Group,
    yours: Group | None,
    background: Background,
    directions: Mapping[str, MetricDirection],
    *,
    has_improved: Callable[[str], bool],
) -> Drift | None:
    """Find the metric whose gap has grown most clearly. `has_improved` tells which metrics are better than the
    baseline's.

    None where nothing shows how much gaps vary by chance.
    """
    if yours is None:
        return None
    pairs = [pair for pair in splits(mine.metrics.keys() & yours.metrics.keys()) if _is_known(pair, directions)]
    found = []
    for train, validation in pairs:
        better = directions[validation]
        now, before = (_gaps(one.runs, train, validation, better) for one in (mine, yours))
        if now is None or before is None or now.mean <= max(0.0, before.mean):
            continue
        level, spread = (
            [gap for one in groups if (gap := _gaps(one.runs, train, validation, better)) is not None]
            for groups in (background.level, background.spread)
        )
        weighed = evidence.weigh(evidence.level(before, level, spread), now)
        p = 1.0 if weighed is None else weighed.above(0.0)
        if p * len(pairs) <= ALPHA and not has_improved(validation):
            found.append(Drift(train, validation, before.mean, now.mean, p))
    return min(found, key=lambda one: (one.p, one.validation), default=None)


def _is_known(pair: tuple[str, str], directions: Mapping[str, MetricDirection]) -> bool:
    return all(name in directions and directions[name].better is not Better.UNKNOWN for name in pair)


def _gaps(runs: Iterable[Run], train: str, validation: str, better: MetricDirection) -> Summary | None:
    """Summarise by how much training was better, run by run."""
    logged = [run.metrics for run in runs if train in run.metrics and validation in run.metrics]
    pairs = [(metrics[train], metrics[validation]) for metrics in logged]
    gaps = [better.gain(ours - theirs) for ours, theirs in pairs if usable(ours) and usable(theirs)]
    return summarise(gaps) if gaps else None
