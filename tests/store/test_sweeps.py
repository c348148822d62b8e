"""What a sweep and a comparison read, on both databases."""

import random

import pytest

from mltrail_server.domain.candidate import Point, Stage, Status
from mltrail_server.domain.filters import parse
from mltrail_server.domain.ids import ProjectId
from mltrail_server.services.context.deps import Scope
from mltrail_server.services.pages import compare, sweep
from mltrail_server.services.pages.sweep import Brush, SweepQuery
from mltrail_server.services.tracking import candidates, experiments
from mltrail_server.store.tracking import metric_keys, metrics, params

NAN = float("nan")


def log(scope: Scope, values: dict[str, float], pairs: dict[str, str], *, status: Status = Status.FINISHED) -> str:
    made = candidates.create(scope, experiment_iid=1).candidate
    with scope.project.write() as tx:
        numbers = metric_keys.make(tx, values, known={})
        metrics.append(tx, made.iid, [Point(key, value, 1, 0) for key, value in values.items()], numbers=numbers)
        params.add(tx, made.iid, pairs)
    candidates.update(scope, made.eid, status=status, ended_ms=2)
    return made.eid


@pytest.fixture
def swept(scope: Scope) -> Scope:
    """Forty runs whose loss rests on x, and some that don't count."""
    experiments.create(scope, name="sweep")
    chance = random.Random(3)
    for _ in range(40):
        x, kind = chance.random(), chance.choice(["a", "b"])
        log(scope, {"val_loss": x + chance.gauss(0, 0.05), "minutes": chance.random()}, {"x": f"{x:.4f}", "kind": kind})
    log(scope, {"val_loss": -5.0}, {"x": "0.5", "kind": "a"}, status=Status.FAILED)
    log(scope, {"val_loss": NAN}, {"x": "0.5", "kind": "a"})
    candidates.change_stage(scope, log(scope, {"val_loss": -9.0}, {"x": "0.5", "kind": "b"}), Stage.DELETED)
    return Scope(scope.deps, scope.actor)


def test_what_a_sweep_reads(swept: Scope) -> None:
    found = sweep.view(swept, 1, SweepQuery())
    assert (found.metric, found.counts.matching, found.counts.usable) == ("val_loss", 42, 40)
    assert (found.counts.failed, found.counts.without, found.counts.judged) == (1, 1, 40)
    assert found.values == sorted(found.values)
    assert found.analysis
    assert found.analysis.parameters[0].name == "x"
    assert list(found.columns) == ["params.x", "params.kind", "metrics.val_loss"]
    half = sweep.view(swept, 1, SweepQuery(clauses=parse("params.kind = 'a' AND metrics.minutes < 0.5")))
    assert 0 < half.counts.usable < 40
    assert set(half.columns) >= {"params.x", "metrics.val_loss"}


def test_a_sweep_is_the_same_each_time_and_brushes_choose(swept: Scope) -> None:
    query = SweepQuery(
        columns=["metrics.minutes", "params.x"],
        brushes={"params.x": Brush(0.25, 0.75), "metrics.minutes": Brush(high=0.9)},
    )
    found = sweep.view(swept, 1, query)
    assert found == sweep.view(swept, 1, query)
    xs, minutes = found.columns["params.x"], found.columns["metrics.minutes"]
    expected = [
        place
        for place in range(len(found.runs))
        if 0.25 <= float(xs[place] or 0) <= 0.75 and float(minutes[place] or 0) <= 0.9
    ]
    assert found.brushed == expected
    assert 0 < len(expected) < 40


def test_each_runs_metric_is_looked_up_by_its_key(swept: Scope, plans: list[str]) -> None:
    if swept.deps.project(ProjectId(1)).database.is_sqlite:
        sweep.view(swept, 1, SweepQuery())
        assert any(
            "latest_metric USING PRIMARY KEY (project_id=? AND candidate_iid=? AND key_id=?)" in one for one in plans
        )
        assert not any("SCAN candidate" in one for one in plans)


def test_what_a_comparison_reads(swept: Scope) -> None:
    found = compare.get(swept, [3, 1, 999, 3])
    assert [side.candidate.iid for side in found.sides] == [3, 1]
    assert found.missing == [999]
    assert set(found.sides[0].params) == {"x", "kind"}
    assert set(found.sides[0].metrics) == {"val_loss", "minutes"}
    assert found.sides[0].packages is None
