"""Which of the target branch's pipelines show the baseline's level, and which only how much runs vary by chance."""

from collections.abc import Sequence
from dataclasses import dataclass

from . import datasets
from .grouping import Group


@dataclass(frozen=True, slots=True)
class Counted:
    """The places of pipelines in the history. Those of `level` have trained with the baseline's parameters on its data.
    Those of `spread` only on its data: the spread of their repeats counts, but not where they lie.
    """

    level: tuple[int, ...] = ()
    spread: tuple[int, ...] = ()


NOTHING = Counted()


def counted(baseline: Group | None, history: Sequence[Group | None], *, same_dataset: str | None) -> Counted:
    """Sort the best of each pipeline by what it has in common with the baseline's best; other data have nothing."""
    if baseline is None:
        return NOTHING
    level: list[int] = []
    spread: list[int] = []
    for place, one in enumerate(history):
        if one is None or datasets.other_data(same_dataset, one.runs, baseline.runs):
            continue
        (level if one.params == baseline.params else spread).append(place)
    return Counted(tuple(level), tuple(spread))
