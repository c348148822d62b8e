"""The complete history of a run's metrics, as compact as it gets before it is written.

A point takes 24 bytes here; as a tuple it would take ten times as much, and a run can have millions.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from mltrail_server.domain import limits
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Entity, Loss, Point, RunRecord, Source
from mltrail_server.store.tracking.metrics import Stored

from .fit import Fit

_ROWS = 20_000
_SORTED_AT_ONCE = 100_000
_LARGEST = sys.float_info.max
_run_of = itemgetter(0)

_Series = tuple["array[int]", "array[int]", "array[float]"]


class History:
    """The points of one run, by key."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Series] = {}
        self.count = 0
        self.too_large: dict[str, int] = {}

    def add(self, points: Iterable[Point]) -> None:
        before, steps, times, values = None, None, None, None
        for _, key, step, at, value in points:
            if key != before:
                series = self._by_key.get(key)
                if series is None:
                    series = self._by_key[key] = (array("q"), array("q"), array("d"))
                steps, times, values = series
                before = key
            try:
                steps.append(step)  # type: ignore[union-attr] # set with the first key
            except OverflowError:
                self._refuse(key)
                continue
            try:
                times.append(at)  # type: ignore[union-attr]
            except OverflowError:
                steps.pop()  # type: ignore[union-attr]
                self._refuse(key)
                continue
            values.append(value)  # type: ignore[union-attr]
            self.count += 1

    def fitted(self, fit: Fit) -> None:
        """Leave out metrics whose names are not allowed, and list what can't be kept as it is."""
        for key, count in self.too_large.items():
            fit.say(Loss.REFUSED, Entity.POINT, f"points of {key!r} have a step or time beyond 64 bits", count=count)
        for key in list(self._by_key):
            count = len(self._by_key[key][0])
            if not fit.passes(
                Entity.POINT,
                f"the metric {key[:60]!r}",
                lambda key=key: limits.check_key(key, "metric"),  # type: ignore[misc] # mypy infers no lambda with a default
                count=count,
            ):
                del self._by_key[key]
                continue
            infinite = sum(1 for value in self._by_key[key][2] if not -_LARGEST <= value <= _LARGEST and value == value)  # noqa: PLR0124 - NaN
            if infinite:
                fit.say(
                    Loss.NOTE,
                    Entity.POINT,
                    f"infinite values of {key!r} are kept as the largest number, as MLflow's database keeps them",
                    count=infinite,
                )

    @property
    def keys(self) -> Sequence[str]:
        return list(self._by_key)

    @property
    def kept(self) -> int:
        return sum(len(series[0]) for series in self._by_key.values())

    def rows(self, project_id: ProjectId, candidate_iid: int, numbers: Mapping[str, int]) -> Iterator[list[Stored]]:
        """Return the rows to store, in lists of some ten thousand that are sorted and distinct."""
        rows: list[Stored] = []
        for key in sorted(self._by_key, key=numbers.__getitem__):
            number = numbers[key]
            for steps, times, values in _pieces(self._by_key[key]):
                rows += sorted(
                    {
                        (project_id, candidate_iid, number, step, at, 0.0, True)
                        if value != value  # noqa: PLR0124 - only NaN differs from itself
                        else (project_id, candidate_iid, number, step, at, max(-_LARGEST, min(_LARGEST, value)), False)
                        for step, at, value in zip(steps, times, values, strict=True)
                    }
                )
                if len(rows) >= _ROWS:
                    yield rows
                    rows = []
        if rows:
            yield rows

    def _refuse(self, key: str) -> None:
        self.too_large[key] = self.too_large.get(key, 0) + 1
        self.count += 1


def of_runs(source: Source, runs: Sequence[RunRecord]) -> Iterator[tuple[RunRecord, History]]:
    """Read the histories of runs, and return each once it is complete."""
    waiting = iter(runs)
    current, history = next(waiting), History()
    for page in source.points(runs):
        for run_id, points in groupby(page, key=_run_of):
            while current.id != run_id:
                yield current, history
                following = next(waiting, None)
                if following is None:
                    raise invalid(
                        f"The source returned points of run {run_id[:80]} out of order. Nothing was lost: run it again."
                    )
                current, history = following, History()
            history.add(points)
    yield current, history
    for rest in waiting:
        yield rest, History()


def _pieces(series: _Series) -> Iterator[_Series]:
    steps, times, values = series
    for start in range(0, len(steps), _SORTED_AT_ONCE):
        stop = start + _SORTED_AT_ONCE
        yield steps[start:stop], times[start:stop], values[start:stop]
