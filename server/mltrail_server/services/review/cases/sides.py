"""Which runs of a model are compared case by case: the named run of each side first."""

from collections.abc import Sequence
from typing import NamedTuple

from mltrail_contract import Model
from mltrail_server.domain.comparison import Comparison
from mltrail_server.domain.direction import direction_of
from mltrail_server.domain.grouping import Run, representative

_MOST_RUNS = 10
"""How many runs a side are read, to tell a change from training's chance."""


class Sides(NamedTuple):
    """The runs of a model that are compared: the named run of each side first."""

    before: Sequence[Run]
    now: Sequence[Run]


def sides_of(model: Model, compared: Comparison) -> Sides | None:
    """Name the runs that are compared. None if this side has none."""
    if compared.best is None or compared.best_run is None:
        return None
    before: Sequence[Run] = ()
    if compared.baseline is not None:
        direction = direction_of(compared.rank_by or "", model)
        named = representative(compared.baseline, compared.rank_by, direction)
        before = _named_first(compared.baseline.runs, named)
    return Sides(before, _named_first(compared.best.runs, compared.best_run))


def _named_first(runs: Sequence[Run], named: Run) -> list[Run]:
    others = [run for run in runs if run.iid != named.iid]
    return [named, *others] if len(others) < _MOST_RUNS else [named]
