"""Histories in brief: where they begin, their extremes, and their course in parts of the same length."""

import math

from mltrail_server.domain.candidate import Point
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments, logging
from mltrail_server.store.pages import histories
from mltrail_server.store.pages.histories import HistorySummary
from mltrail_server.store.tracking import metric_keys

BACKENDS = ("sqlite", "postgresql")
FARTHEST = 2**63 - 1


def summed_up(scope: Scope, points: list[Point], *, most: int = 4) -> dict[str, HistorySummary]:
    experiments.create(scope, name="one")
    made = candidates.create(scope, experiment_iid=1, name="run", started_ms=1).candidate
    logging.log_batch(scope, made.eid, points=points)
    with scope.project.read() as tx:
        numbers = metric_keys.find(tx, [point.key for point in points])
        found = histories.summaries(tx, made.iid, list(numbers.values()), most=most)
    return {name: found[number] for name, number in numbers.items() if number in found}


def test_steps_are_cut_into_parts_and_no_spike_is_lost(scope: Scope) -> None:
    values = [1.0, 2.0, 3.0, 90.0, 5.0, 6.0, math.nan, 8.0]
    points = [Point("loss", value, 1000 + step, step) for step, value in enumerate(values)]
    points += [Point("rare", float(step), 1000, step) for step in (-FARTHEST, 7, FARTHEST)]
    found = summed_up(scope, points)
    assert found["loss"] == HistorySummary(7, 1.0, [(1.0, 2.0), (3.0, 90.0), (5.0, 6.0), (8.0, 8.0)])
    assert (found["loss"].low, found["loss"].high) == (1.0, 90.0)
    assert found["rare"].count == 3
    assert [low for low, _ in found["rare"].parts] == [float(-FARTHEST), 7.0, float(FARTHEST)]


def test_values_of_one_step_are_cut_by_time(scope: Scope) -> None:
    points = [Point("loss", float(at), at, 0) for at in (10, 11, 12, 45)]
    points += [Point("once", 5.0, 7, 3), Point("nothing", math.nan, 7, 3)]
    found = summed_up(scope, points)
    assert found["loss"] == HistorySummary(4, 10.0, [(10.0, 12.0), (45.0, 45.0)])
    assert found["once"] == HistorySummary(1, 5.0, [(5.0, 5.0)])
    assert "nothing" not in found
