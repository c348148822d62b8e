"""The curves of some metrics of one or several candidates, thinned out so that a chart is fast and still true.

Each curve has a share of `BUDGET` numbers, at most `MOST_POINTS` and at least `LEAST_POINTS`. What is longer is cut
into parts, and each part gives its mean, its lowest and its highest value: a spike never disappears. The parts of all
curves of a metric are the same, so they can be compared point by point. Who looks closer asks for a smaller window.

NaN and infinities are gaps. MLflow stores an infinity as the largest number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.errors import invalid
from mltrail_server.services.context.deps import Scope
from mltrail_server.store.db.transaction import Transaction
from mltrail_server.store.tracking import candidates, metric_keys
from mltrail_server.store.tracking import histories as store
from mltrail_server.store.tracking.histories import Bucket, CurveAxis, Extent, Places

MOST_CURVES = 100
MOST_KEYS = 24
MOST_POINTS = 1000
LEAST_POINTS = 60
BUDGET = 30_000
MOST_VALUES = 200_000
"""Of one download."""
_EARLIER_MS = 60_000
"""A client's clock may be this much behind; what is still earlier than its run was measured at another time."""


@dataclass(slots=True)
class Curve:
    """`values` are None where there is a gap. A sampled curve has the mean of each part there, and its extremes in
    `lowest` and `highest`; others have neither. `logged` counts all finite values, `part` those that one point stands
    for.
    """

    candidate_iid: int
    places: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    lowest: list[float | None] = field(default_factory=list)
    highest: list[float | None] = field(default_factory=list)
    logged: int = 0
    nans: int = 0
    infinite: int = 0
    end: int | None = None  # of a sampled curve, whose last place is the middle of a part

    @property
    def sampled(self) -> bool:
        return bool(self.lowest)

    @property
    def range(self) -> tuple[float, float] | None:
        """Return the lowest and the highest value, which sampling keeps; None if none is finite."""
        low = [value for value in self.lowest or self.values if value is not None]
        high = [value for value in self.highest or self.values if value is not None]
        return (min(low), max(high)) if low else None

    @property
    def part(self) -> float:
        return max(1.0, self.logged / len(self.places)) if self.sampled else 1.0


@dataclass(frozen=True, slots=True)
class Chart:
    """The curves of one metric. Its axis is time where all values have the same step, whatever was asked for."""

    key: str
    axis: CurveAxis
    curves: list[Curve]


def curves(
    scope: Scope,
    candidate_iids: Sequence[int],
    keys: Sequence[str],
    axis: CurveAxis = CurveAxis.STEP,
    *,
    start: int | None = None,
    end: int | None = None,
) -> list[Chart]:
    """Return a chart for each metric, in that order, with the curves of up to 100 candidates in theirs, between two
    places of the axis. It costs four statements, one more if both short and long curves are asked for, and at most
    three more for a time axis. Candidates that have not logged a metric have no curve.
    """
    wanted = _checked(candidate_iids, keys)
    with scope.project.slow_read() as tx:
        numbers = metric_keys.find(tx, wanted)
        runs = _Runs.read(tx, candidate_iids)
        if not numbers or not runs.by_number:
            return [Chart(key, axis, []) for key in wanted]
        return _Reader(tx, runs, numbers, start, end).read(wanted, axis)


def repeated(scope: Scope, candidate_iid: int, keys: Sequence[str]) -> set[str]:
    """Return which of a run's metrics have more than one value."""
    with scope.project.slow_read() as tx:
        names = {key_id: key for key, key_id in metric_keys.find(tx, keys).items()}
        by_number = _Runs.read(tx, [candidate_iid]).by_number
        return {names[key_id] for key_id in store.repeated(tx, list(by_number), list(names))} if names else set()


def values(scope: Scope, candidate_iids: Sequence[int], keys: Sequence[str]) -> list[tuple[int, str, int, int, float]]:
    """Return every value: candidate, metric, step, time in milliseconds, value. Refused if there are too many."""
    wanted = _checked(candidate_iids, keys)
    with scope.project.slow_read() as tx:
        names = {key_id: key for key, key_id in metric_keys.find(tx, wanted).items()}
        by_number = _Runs.read(tx, candidate_iids).by_number
        found = store.every_value(tx, list(by_number), list(names), limit=MOST_VALUES + 1)
    if len(found) > MOST_VALUES:
        raise invalid(
            f"There are more than {MOST_VALUES:,} values: choose fewer runs, or read them with "
            "MlflowClient.get_metric_history()."
        )
    return [(by_number[number], names[key_id], step, at, value) for number, key_id, step, at, value in found]


def _checked(candidate_iids: Sequence[int], keys: Sequence[str]) -> list[str]:
    wanted = list(dict.fromkeys(key for key in keys if key))
    if not wanted or not candidate_iids:
        raise invalid("Name a metric with `key` and at least one run with `run`.")
    if len(candidate_iids) > MOST_CURVES or len(wanted) > MOST_KEYS:
        raise invalid(
            f"At most {MOST_CURVES} runs and {MOST_KEYS} metrics can be drawn at once, "
            f"not {len(candidate_iids)} and {len(wanted)}."
        )
    if len(candidate_iids) * len(wanted) > BUDGET // LEAST_POINTS:
        raise invalid(f"At most {BUDGET // LEAST_POINTS} curves can be drawn at once: ask for fewer metrics.")
    return wanted


@dataclass(frozen=True, slots=True)
class _Runs:
    """The candidates by the numbers that their values are stored under: their own, and that of what others have written
    to them, which is shown where they have not logged the metric themselves.
    """

    order: Sequence[int]
    by_number: Mapping[int, int]
    started: Mapping[int, int]

    @classmethod
    def read(cls, tx: Transaction, candidate_iids: Sequence[int]) -> "_Runs":
        found = candidates.of_iids(tx, list(dict.fromkeys(candidate_iids)))
        by_number = {one.iid: one.iid for one in found}
        by_number |= {one.amendment_iid: one.iid for one in found if one.amendment_iid is not None}
        return cls(list(dict.fromkeys(candidate_iids)), by_number, {one.iid: one.started_ms for one in found})

    def of_their_own(self, extents: Sequence[Extent]) -> list[Extent]:
        own = {(one.number, one.key_id) for one in extents if self.by_number[one.number] == one.number}
        return [
            one
            for one in extents
            if self.by_number[one.number] == one.number or (self.by_number[one.number], one.key_id) not in own
        ]


@dataclass(slots=True)
class _Reader:
    tx: Transaction
    runs: _Runs
    key_ids: Mapping[str, int]
    start: int | None
    end: int | None

    def read(self, keys: Sequence[str], axis: CurveAxis) -> list[Chart]:
        found = self._charts([self.key_ids[key] for key in keys if key in self.key_ids], axis)
        return [found.get(self.key_ids.get(key, -1)) or Chart(key, axis, []) for key in keys]

    def _charts(self, ids: Sequence[int], axis: CurveAxis) -> dict[int, Chart]:
        places = Places(axis, self._origins(ids) if axis is CurveAxis.TIME else {}, self.start, self.end)
        extents = self.runs.of_their_own(store.extents(self.tx, list(self.runs.by_number), ids, places))
        at_once = _at_one_step(extents) if axis is CurveAxis.STEP and self.start is None and self.end is None else set()
        drawn = [one for one in extents if one.key_id not in at_once]
        by_key = self._curves(drawn, places)
        names = {key_id: key for key, key_id in self.key_ids.items()}
        charts = {
            key_id: Chart(names[key_id], axis, [of[iid] for iid in self.runs.order if iid in of])
            for key_id, of in by_key.items()
        }
        return charts | (self._charts(sorted(at_once), CurveAxis.TIME) if at_once else {})

    def _origins(self, ids: Sequence[int]) -> dict[int, int]:
        """Find the times that count as 0: when the run started, or its first value if that is earlier, as of a run that
        was logged afterwards.
        """
        origins = {number: self.runs.started[iid] for number, iid in self.runs.by_number.items()}
        last = store.last_times(self.tx, list(origins), ids)
        early = sorted({number for number, at in last if at < origins[number] - _EARLIER_MS})
        if early:
            for one in store.extents(self.tx, early, ids, Places(CurveAxis.WALL)):
                origins[one.number] = min(origins[one.number], one.low) if one.count else origins[one.number]
        return origins

    def _curves(self, extents: Sequence[Extent], places: Places) -> dict[int, dict[int, Curve]]:
        found: dict[int, dict[int, Curve]] = {}
        for one in extents:
            iid = self.runs.by_number[one.number]
            curve = Curve(iid, logged=one.count, nans=one.nans, infinite=one.infinite)
            found.setdefault(one.key_id, {})[iid] = curve
        most = min(MOST_POINTS, max(LEAST_POINTS, BUDGET // (len(extents) or 1)))
        long = {one.key_id for one in extents if one.count > most}
        self._points([one for one in extents if one.key_id not in long], places, found)
        self._buckets([one for one in extents if one.key_id in long], places, found, most // 3)
        return found

    def _points(self, extents: Sequence[Extent], places: Places, found: dict[int, dict[int, Curve]]) -> None:
        if not extents:
            return
        drawn = {(one.number, one.key_id) for one in extents}
        numbers, ids = _axes(extents)
        for number, key_id, place, value in store.points(self.tx, numbers, ids, places):
            if (number, key_id) in drawn:
                curve = found[key_id][self.runs.by_number[number]]
                curve.places.append(place)
                curve.values.append(value)

    def _buckets(
        self, extents: Sequence[Extent], places: Places, found: dict[int, dict[int, Curve]], most: int
    ) -> None:
        if not extents:
            return
        parts = _parts(extents, most)
        drawn = {(one.number, one.key_id) for one in extents}
        numbers, ids = _axes(extents)
        for bucket in store.buckets(self.tx, numbers, ids, places, parts=parts, most=most):
            if (bucket.number, bucket.key_id) in drawn:
                curve = found[bucket.key_id][self.runs.by_number[bucket.number]]
                curve.places.append(_middle(bucket, *parts[bucket.key_id]))
                curve.values.append(bucket.mean)
                curve.lowest.append(bucket.lowest)
                curve.highest.append(bucket.highest)
                curve.end = bucket.last


def _axes(extents: Sequence[Extent]) -> tuple[list[int], list[int]]:
    return sorted({one.number for one in extents}), sorted({one.key_id for one in extents})


def _at_one_step(extents: Sequence[Extent]) -> set[int]:
    """Find the metrics that were logged several times at one and the same step, so that only time can be their axis."""
    of: dict[int, list[Extent]] = {}
    for one in extents:
        of.setdefault(one.key_id, []).append(one)
    return {
        key_id
        for key_id, those in of.items()
        if any(one.count > 1 for one in those) and len({place for one in those for place in (one.low, one.high)}) == 1
    }


def _parts(extents: Sequence[Extent], most: int) -> dict[int, tuple[int, float]]:
    found = {}
    for key_id in {one.key_id for one in extents}:
        those = [one for one in extents if one.key_id == key_id and one.count]
        low, high = min(one.low for one in those), max(one.high for one in those)
        found[key_id] = low, max(1.0, (high - low + 1) / most)
    return found


def _middle(bucket: Bucket, low: int, width: float) -> int:
    """Place a part where it is the same for all curves; a part with values at one place only, at that."""
    return bucket.first if bucket.first == bucket.last else round(low + (bucket.part + 0.5) * width)
