"""How large the databases are: the smallest, and larger ones that differ from it in one size each."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Sizes:
    """What a database holds. The large run has `names` metrics, one of which has a history of `history` points."""

    points: int = 1_000_000
    runs: int = 10_000
    experiments: int = 10
    projects: int = 1
    names: int = 10
    history: int = 10_000

    @property
    def label(self) -> str:
        """Name what differs from the smallest, e.g. `runs-100000`."""
        sizes = ((one.name, getattr(self, one.name), one.default) for one in fields(self))
        changed = [f"{name}-{size}" for name, size, default in sizes if size != default]
        return "-".join(changed) or "smallest"


@dataclass(frozen=True)
class Axis:
    name: str
    title: str
    sizes: tuple[int, ...]

    def databases(self) -> list[Sizes]:
        return [replace(Sizes(), **{self.name: size}) for size in self.sizes]


AXES = (
    Axis("points", "metric points of a project", (1_000_000, 10_000_000, 100_000_000)),
    Axis("runs", "runs of an experiment", (10_000, 100_000, 1_000_000)),
    Axis("experiments", "experiments of a project", (10, 100, 1_000)),
    Axis("projects", "projects", (1, 30, 300)),
    Axis("names", "metrics of a run", (10, 1_000, 10_000)),
    Axis("history", "points of one metric", (10_000, 1_000_000, 10_000_000)),
)


def axes(names: str, most: int) -> Iterator[Axis]:
    """Select axes by their names, or all, with the sizes up to `most`."""
    for axis in AXES:
        sizes = tuple(size for size in axis.sizes if size <= most)
        if (not names or axis.name in names.split(",")) and len(sizes) > 1:
            yield replace(axis, sizes=sizes)


def number(text: str) -> int:
    """Read a number such as 10M or 100k."""
    factors = {"k": 1_000, "M": 1_000_000}
    return int(text[:-1]) * factors[text[-1]] if text[-1] in factors else int(text)
