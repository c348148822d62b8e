"""The best value of each metric among all that match is the same whichever way it is found."""

import random

import pytest

from mltrail_server.domain.candidate import Point, Stage, Status
from mltrail_server.domain.direction import Better
from mltrail_server.domain.filters import parse
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store.pages import tables
from mltrail_server.store.tracking import metric_keys, metrics, params

WANTED = {"acc": Better.HIGHER, "loss": Better.LOWER, "nothing": Better.HIGHER}
NAN = float("nan")


def log(scope: Scope, experiment: int, values: dict[str, float], *, status: Status = Status.FINISHED) -> str:
    made = candidates.create(scope, experiment_iid=experiment).candidate
    with scope.project.write() as tx:
        numbers = metric_keys.make(tx, values, known={})
        points = [Point(key, value, 1, 0) for key, value in values.items()]
        metrics.append(tx, made.iid, points, numbers=numbers)
        params.add(tx, made.iid, {"even": str(made.iid % 2 == 0)})
    candidates.update(scope, made.eid, status=status, ended_ms=2)
    return made.eid


@pytest.fixture
def scope(scope: Scope) -> Scope:
    for name in ("mine", "other"):
        experiments.create(scope, name=name)
    return scope


@pytest.mark.parametrize("small", [True, False])
def test_what_counts(scope: Scope, small: bool) -> None:
    chance = random.Random(5)
    mine = {}
    for number in range(1, 31):
        mine[number] = {"acc": chance.random(), "loss": chance.choice([NAN, chance.random()])}
        log(scope, 1, mine[number])
    log(scope, 1, {"acc": 2.0, "loss": -1.0}, status=Status.FAILED)
    deleted = log(scope, 1, {"acc": 3.0, "loss": -2.0})
    candidates.change_stage(scope, deleted, Stage.DELETED)
    log(scope, 2, {"acc": 4.0, "loss": -3.0})

    def best(text: str = "") -> dict[str, float]:
        with scope.deps.project(ProjectId(1)).read() as tx:
            clauses, stages = parse(text), [Stage.ACTIVE]
            return tables.best_values(tx, 1, stages, clauses, wanted=WANTED, small=small)

    def expected(numbers: list[int]) -> dict[str, float]:
        losses = [mine[number]["loss"] for number in numbers]
        return {"acc": max(mine[number]["acc"] for number in numbers), "loss": min(x for x in losses if x == x)}  # noqa: PLR0124 - NaN

    assert best() == expected(list(mine))
    assert best("params.even = 'True'") == expected([number for number in mine if number % 2 == 0])
    low = [number for number in mine if mine[number]["acc"] < 0.5]
    assert best("metrics.acc < 0.5") == expected(low)
    assert best("params.even = 'neither'") == {}


def test_a_walk_ends_after_a_hundred_values_of_others(scope: Scope) -> None:
    log(scope, 1, {"acc": 0.1})
    for _ in range(100):
        log(scope, 2, {"acc": 0.5})
    with scope.deps.project(ProjectId(1)).read() as tx:
        found = [tables.best_values(tx, 1, [Stage.ACTIVE], (), wanted=WANTED, small=small) for small in (True, False)]
    assert found == [{"acc": 0.1}, {}]
