"""The latest values of a run's metrics."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .candidate import Point

Row = tuple[str, float, int, int]
"""What a `Point` holds, in its order. A page of a search has thousands, and a plain tuple is made in a third of the
time."""


@dataclass(frozen=True, slots=True)
class Latest:
    """Iterates over points, by key; `rows` are the same ones."""

    rows: list[Row] = field(default_factory=list)

    def __iter__(self) -> Iterator[Point]:
        return map(Point._make, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def and_new(self, others: Iterable[Row]) -> "Latest":
        """Add the values of keys that have none."""
        own = {row[0] for row in self.rows}
        return Latest(sorted([*self.rows, *(row for row in others if row[0] not in own)]))
