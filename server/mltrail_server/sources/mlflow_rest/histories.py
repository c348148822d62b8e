"""The complete histories of metrics, in as few calls as possible.

MLflow has no call for all metrics of a run. Since 2.0 there is one that returns the history of one metric for many
runs; but it ends after 25,000 points without saying so. So if it returns that many, fewer runs are asked for together.
What is too long even for a single run is read by `metrics/get-history`, in pages since MLflow 3.1.
`get-history-bulk-interval` is never used: it leaves points out.
"""

from collections.abc import Iterable, Iterator, Sequence

from mltrail_server.domain.transfer import Entity, Loss, Point, RunRecord
from mltrail_server.sources.http import LostError
from mltrail_server.sources.paging import pages
from mltrail_server.sources.reading import Fetched, Reading, is_absent, page

from . import records
from .server import AJAX, API

_PAGE = 25_000
_MOST_AT_ONCE = 150_000  # points in memory, before they are handed on
_FIRST_GROUP = 10
_MOST_RUNS = 50  # of a call: with more, the URL is too long for some servers
_MOST_RUNS_OF_OLD = 20

_Key = tuple[RunRecord, Point]


class Histories:
    """Reads the histories of a few runs at a time, and learns from each call how many fit into the next one."""

    def __init__(self, server: Reading, *, path: str = f"{API}/metrics/get-history", bulk: bool = True) -> None:
        """`path` is the call for one metric of one run. Without `bulk`, the call for many runs is not tried."""
        self._server, self._path = server, path
        paths = (f"{AJAX}/metrics/get-history-bulk", f"{API}/metrics/get-history-bulk")
        self._bulk_paths = list(paths) if bulk else []
        self._group = _FIRST_GROUP

    def of(self, runs: Sequence[RunRecord]) -> Iterator[list[Point]]:
        """Return the histories run by run, in pages. If a history can't be read, at least its newest point is returned,
        and the rest is a finding.
        """
        position = 0
        while position < len(runs):
            if not self._bulk_paths:
                yield from self._one_by_one(runs[position:])
                return
            group = runs[position : position + self._group]
            try:
                found = self._together(group) if len(group) > 1 else None
            except LostError as error:
                if is_absent(error):
                    del self._bulk_paths[0]
                    continue
                yield from self._one_by_one(group)
            else:
                if found is None and len(group) > 1:
                    self._group = len(group) // 2
                    continue
                yield from self._one_by_one(group) if found is None else self._checked(group, found)
            position += len(group)

    def _together(self, runs: Sequence[RunRecord]) -> dict[str, list[Point]] | None:
        """Return the points of each run; None if there are too many for this. Raises LostError."""
        by_key: dict[str, list[str]] = {}
        for run in runs:
            for _, key, *_ in run.latest:
                by_key.setdefault(key, []).append(run.id)
        found: dict[str, list[Point]] = {run.id: [] for run in runs}
        total = longest = 0
        for (_, run_ids), points in self._server.workers.each(self._bulk, by_key.items()):
            total += len(points)
            if len(points) >= _PAGE or total > _MOST_AT_ONCE:
                return None
            longest = max(longest, len(points) // len(run_ids))
            for point in points:
                if point[0] in found:
                    found[point[0]].append(point)
        self._learn(len(runs), total, longest)
        return found

    def _bulk(self, task: tuple[str, list[str]]) -> list[Point]:
        key, run_ids = task
        query: list[tuple[str, str | int]] = [("run_id", run_id) for run_id in run_ids]
        query += [("metric_key", key), ("max_results", _PAGE)]
        got = self._server.rest.get(self._bulk_paths[0], query)
        try:
            return [records.point(str(one["run_id"]), one) for one in got.get("metrics") or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise LostError(f"The server returned a history of {key} that can't be read.") from error

    def _learn(self, runs: int, points: int, longest: int) -> None:
        """Choose how many runs to ask for next, so that the response is about half as large as it may be."""
        most = _MOST_RUNS if self._server.version >= (2, 20) else _MOST_RUNS_OF_OLD
        fitting = min(_MOST_AT_ONCE * runs // max(points, 1), _PAGE // max(longest, 1)) // 2
        self._group = max(1, min(most, fitting, 2 * self._group))

    def _checked(self, runs: Sequence[RunRecord], found: dict[str, list[Point]]) -> Iterator[list[Point]]:
        for run in runs:
            points = found.pop(run.id)
            missing = {(key, step, at): (run_id, key, step, at, value) for run_id, key, step, at, value in run.latest}
            for _, key, step, at, _ in points:
                missing.pop((key, step, at), None)
            for point in missing.values():
                self._is_incomplete(run, point)
            points.extend(missing.values())
            if points:
                yield points

    def _one_by_one(self, runs: Iterable[RunRecord]) -> Iterator[list[Point]]:
        """Read each history by itself, and the first page of the next ones meanwhile."""
        tasks = ((run, latest) for run in runs for latest in run.latest)
        total = 0
        for (run, latest), first in self._server.workers.each(self._first, tasks):
            count, complete = 0, False
            for points in self._pages(run, latest, first):
                count += len(points)
                complete = complete or any(point[2:4] == latest[2:4] for point in points)
                yield points
            if not complete:
                self._is_incomplete(run, latest)
                yield [latest]
            total += count
            self._learn(1, total if len(run.latest) == 1 else count * len(run.latest), count)

    def _pages(self, run: RunRecord, latest: Point, first: Fetched | LostError) -> Iterator[list[Point]]:
        def fetch(token: str) -> Fetched:
            if token:
                return self._page(run.id, latest[1], token)
            if isinstance(first, LostError):
                raise first
            return first

        text = f"the history of metric {latest[1]} is not complete"
        with self._server.losing(Entity.POINT, f"run {run.id}", text):
            for found in pages(fetch, f"metric {latest[1]}"):
                yield list(
                    self._server.decoded(found, lambda one: records.point(run.id, one), Entity.POINT, f"run {run.id}")
                )

    def _first(self, task: _Key) -> Fetched | LostError:
        run, (_, key, *_) = task
        try:
            return self._page(run.id, key, "")
        except LostError as error:
            return error

    def _page(self, run_id: str, key: str, token: str) -> Fetched:
        query: list[tuple[str, str | int]] = [("run_id", run_id), ("metric_key", key), ("max_results", _PAGE)]
        if token:
            query.append(("page_token", token))
        return page(self._server.rest.get(self._path, query), "metrics")

    def _is_incomplete(self, run: RunRecord, latest: Point) -> None:
        text = f"the history of metric {latest[1]} lacks the newest value, which was taken from the run instead"
        self._server.findings.add(Loss.MISSING, Entity.POINT, f"run {run.id}", text)
