"""What the analysis of a sweep finds."""

from dataclasses import dataclass
from enum import StrEnum

LEAST = 10
"""With fewer configurations, nothing is judged."""
ALPHA = 0.05
NEGLIGIBLE = 0.05
"""If a share this large would have been found and was not, the parameter has no effect that matters."""


class Verdict(StrEnum):
    MATTERS = "matters"
    UNCLEAR = "unclear"  # too few runs to tell
    NEGLIGIBLE = "negligible"  # a share worth knowing would have been found
    UNJUDGED = "unjudged"  # nearly every run has a value of its own, or there are too few to judge anything


@dataclass(frozen=True, slots=True)
class Group:
    """Some of a parameter's values. `standing` is the mean rank of their runs: 0 the lowest of the metric, 1 the
    highest.
    """

    label: str
    count: int
    standing: float


@dataclass(frozen=True, slots=True)
class Importance:
    """`share`, `low` and `high` mean something only if the verdict is MATTERS, and `correlation` only if `correlates`
    says that its p is below 5 %. `detectable` is the share that would have been found.
    """

    name: str
    verdict: Verdict
    share: float = 0.0
    low: float = 0.0
    high: float = 1.0
    detectable: float = 1.0
    correlation: float | None = None  # of ranks (Spearman); None for words
    correlates: bool = False
    groups: tuple[Group, ...] = ()
    values: int = 0  # different ones


@dataclass(frozen=True, slots=True)
class Pair:
    """Two parameters that explain a further share only together, or (in `entangled`) that were changed together."""

    first: str
    second: str
    share: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """`together` is the share that all parameters explain as a sum, without interactions; None where it can't be known.
    `noise` is the share that runs with equal parameters differ by, where enough were repeated.
    """

    runs: int
    configurations: int
    constant: bool = False  # all runs have the same value of the metric
    parameters: tuple[Importance, ...] = ()
    repeats: tuple[str, ...] = ()  # parameters that only tell repeats apart
    crossed: bool = False  # all combinations were tried, so that each run counts as a configuration
    together: float | None = None
    noise: float | None = None
    interactions: tuple[Pair, ...] = ()
    pairs_tested: int = 0
    entangled: tuple[Pair, ...] = ()

    @property
    def too_few(self) -> bool:
        return self.configurations < LEAST
