"""Which of the target branch's pipelines show the baseline's level, and which only how much runs vary by chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import datasets
from .grouping import Group
from .statistics import Summary


@dataclass(frozen=True, slots=True)
class Counted:
    """The places of pipelines in the history. Those of `level` have trained with the baseline's parameters on its data.
    Those of `spread` only on its data: the spread of their repeats counts, but not where they lie.
    """

    level: tuple[int, ...] = ()
    spread: tuple[int, ...] = ()

    def sentence(self, pipelines: int) -> str:
        """Say which of this many pipelines count; "" if there are none, or all show the level."""
        others = pipelines - len(self.level) - len(self.spread)
        if len(self.level) == pipelines:
            return ""
        parts = [f"{_with(len(self.level), 'has', 'have')} the baseline's parameters and data"]
        if self.spread:
            parts.append(
                f"{_with(len(self.spread), 'has', 'have')} other parameters, so only the spread of runs counts"
            )
        if others:
            parts.append(f"{_with(others, 'does', 'do')} not count: other data, or nothing that can be ranked")
        number = f"{pipelines} earlier pipelines" if pipelines > 1 else "1 earlier pipeline"
        return f"Of {number}, {'; '.join(parts)}"


def _with(number: int, one: str, several: str) -> str:
    return f"{number or 'none'} {one if number == 1 else several}"


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


def single_values(pipelines: Iterable[Summary | None]) -> dict[int, float]:
    """Return the value of each of the target branch's pipelines, by its place, if all have a single run; empty
    otherwise.
    """
    known = {place: one for place, one in enumerate(pipelines) if one is not None}
    alike = all(one.n == 1 for one in known.values())
    return {place: one.mean for place, one in known.items()} if alike else {}
