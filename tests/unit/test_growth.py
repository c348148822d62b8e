"""`python -m benchmarks.growth` fills mltrail's tables by SQL, and says what grows faster than a logarithm."""

import math
import sqlite3
from pathlib import Path

import pytest
from benchmarks.growth.fill import fill, large_eid
from benchmarks.growth.results import Cost, Costs, growing
from benchmarks.growth.sizes import AXES, Axis, Sizes, number
from benchmarks.peers.bases import Mltrail

from tests.databases import set_up

AXIS = Axis("runs", "runs", (100, 10_000, 1_000_000))


def costs(*values: float) -> Costs:
    return {"call": {size: Cost([value], [value]) for size, value in zip(AXIS.sizes, values, strict=True)}}


def test_all_tables_are_filled(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    set_up(f"sqlite:///{tmp_path / 'data' / 'mltrail.db'}")
    base = Mltrail(tmp_path)

    fill(base, Sizes(points=20_000, runs=20, experiments=3, projects=2, names=12, history=30))

    with sqlite3.connect(base.sqlite_file) as database:
        found = {
            table: database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("experiment", "candidate", "metric", "latest_metric", "param", "candidate_tag")
        }
        large = database.execute("SELECT eid FROM candidate WHERE project_id = 1 AND iid = 1").fetchone()[0]
        problems = database.execute("PRAGMA integrity_check").fetchall()
    others = 100 - 1  # runs of the second project but its first
    assert found == {
        "experiment": 3 + 1,
        "candidate": 20 + 100,
        "metric": 20_000 + 30,
        "latest_metric": 12 + 5 * (19 + others),
        "param": 5 * (19 + others),
        "candidate_tag": 2 * (19 + others),
    }
    assert large == large_eid()
    assert problems == [("ok",)]


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        ((1.0, 1.0, 1.0), False),
        (tuple(math.log(size) for size in AXIS.sizes), False),
        ((1.0, 10.0, 100.0), True),
        (tuple(size**0.4 for size in AXIS.sizes), True),
    ],
)
def test_what_grows_faster_than_the_logarithm_is_named(values: tuple[float, ...], grows: bool) -> None:
    assert bool(growing(AXIS, costs(*values))) is grows


def test_the_smallest_database_is_that_of_each_size() -> None:
    assert {axis.databases()[0] for axis in AXES} == {Sizes()}
    assert {axis.databases()[0].label for axis in AXES} == {"smallest"}
    assert number("10M") == 10_000_000
