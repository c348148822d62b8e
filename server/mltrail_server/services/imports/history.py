"""The complete history of a run's metrics, kept compact until it is written.

A point takes 24 bytes here; as a tuple it would take ten times as much, and a run can have millions.
"""

import math
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, repeat
from operator import itemgetter

from mltrail_server.domain import limits
from mltrail_server.domain.errors import invalid
from mltrail_server.domain.ids import ProjectId
from mltrail_server.domain.transfer import Entity, Loss, Point, RunRecord, Source
from mltrail_server.store.tracking.metrics import Stored

from .fit_to_limits import Fit

_ROWS = 20_000
_SORTED_AT_ONCE = 100_000
_LARGEST = sys.float_info.max
_LIMIT = 2**63
_run_of, _key_of = itemgetter(0), itemgetter(1)

_Series = tuple["array[int]", "array[int]", "array[float]"]


class History:
    """The points of one run, by key. `count` is how many were read, `kept` how many of them are kept."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Series] = {}
        self.count = 0
        self.kept = 0
        self._too_large: dict[str, int] = {}

    def add(self, points: Iterable[Point]) -> None:
        """Add points of the run. Those with a step or time beyond 64 bits are counted, but not kept."""
        for key, of_key in groupby(points, key=_key_of):
            series = self._by_key.get(key)
            if series is None:
                series = self._by_key[key] = (array("q"), array("q"), array("d"))
            _, _, *columns = zip(*of_key, strict=True)
            self.count += len(columns[0])
            self.kept += len(columns[0])
            before = len(series[0])
            try:
                series[0].extend(columns[0])
                series[1].extend(columns[1])
                series[2].extend(columns[2])
            except OverflowError:
                self._add_small(key, series, before, list(zip(*columns, strict=True)))

    def _add_small(self, key: str, series: _Series, before: int, rows: Sequence[tuple[int, int, float]]) -> None:
        """Add points again, but without those with a step or time beyond 64 bits."""
        for known in series:
            del known[before:]
        for step, at, value in rows:
            if -_LIMIT <= step < _LIMIT and -_LIMIT <= at < _LIMIT:
                series[0].append(step)
                series[1].append(at)
                series[2].append(value)
            else:
                self._too_large[key] = self._too_large.get(key, 0) + 1
                self.kept -= 1

    def fitted(self, fit: Fit) -> None:
        """Leave out metrics whose names are not allowed, and list what can't be kept as it is."""
        for key, count in self._too_large.items():
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
                self.kept -= count
                continue
            infinite = sum(map(math.isinf, self._by_key[key][2]))
            if infinite:
                fit.say(
                    Loss.NOTE,
                    Entity.POINT,
                    f"infinite values of {key!r} are stored as the largest number, as in MLflow's database",
                    count=infinite,
                )

    @property
    def keys(self) -> Sequence[str]:
        return list(self._by_key)

    def rows(self, project_id: ProjectId, candidate_iid: int, numbers: Mapping[str, int]) -> Iterator[list[Stored]]:
        """Return the rows to store, in lists of some ten thousand that are sorted and distinct."""
        rows: list[Stored] = []
        for key in sorted(self._by_key, key=numbers.__getitem__):
            number = numbers[key]
            for steps, times, values in _pieces(self._by_key[key]):
                rows += sorted(_stored(project_id, candidate_iid, number, steps, times, values))
                if len(rows) >= _ROWS:
                    yield rows
                    rows = []
        if rows:
            yield rows


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


def _stored(
    project_id: ProjectId,
    candidate_iid: int,
    number: int,
    steps: "array[int]",
    times: "array[int]",
    values: "array[float]",
) -> set[Stored]:
    """Return the points of a key as they are stored, each once."""
    constant = repeat(project_id), repeat(candidate_iid), repeat(number)
    if all(map(math.isfinite, values)):
        return set(zip(*constant, steps, times, values, repeat(False)))
    return {
        (project_id, candidate_iid, number, step, at, 0.0, True)
        if value != value  # noqa: PLR0124 - only NaN differs from itself
        else (project_id, candidate_iid, number, step, at, max(-_LARGEST, min(_LARGEST, value)), False)
        for step, at, value in zip(steps, times, values, strict=True)
    }


def _pieces(series: _Series) -> Iterator[_Series]:
    steps, times, values = series
    for start in range(0, len(steps), _SORTED_AT_ONCE):
        stop = start + _SORTED_AT_ONCE
        yield steps[start:stop], times[start:stop], values[start:stop]
