"""Which datasets runs have logged, and whether two sides were measured on the same ones, by name and digest."""

from collections.abc import Iterable
from typing import NamedTuple

from .grouping import Group, Run

NOT_COMPARABLE = "not comparable: "
"""How each reason begins why two sides can't be compared because of their data."""

_TRAINING = "train"
_NAMED = "the dataset that the contract names"
_ANOTHER = "another dataset"


def shared_by(runs: Iterable[Run]) -> dict[str, str]:
    """Map each use, such as `test`, to the runs' dataset; uses in which they differ are left out."""
    return {use: names.pop() for use, names in _logged(runs).items() if len(names) == 1}


def other_data(same_dataset: str | None, now: Iterable[Run], before: Iterable[Run]) -> bool:
    """Whether the two sides were measured on different data.

    The contract's `same_dataset` says which dataset counts. Otherwise those count that were logged for a use other than
    training, and if there are none, all.
    """
    ours, theirs = _logged(now), _logged(before)
    shared = ours.keys() & theirs.keys()
    if same_dataset is not None:
        shared &= {same_dataset}
    else:
        shared = {use for use in shared if _TRAINING not in use.lower()} or shared
    return any(ours[use].isdisjoint(theirs[use]) for use in shared)


class Incomparable(NamedTuple):
    """Why two sides can't be compared, without anything that a user wrote; `ours` is set if this side is the cause."""

    reason: str
    ours: bool


def incomparable(ours: Group, theirs: Group | None, same_dataset: str | None) -> Incomparable | None:
    """Say why two sides can't be compared; None if they can."""
    if same_dataset is None or theirs is None:
        return None
    now, before = shared_by(ours.runs).get(same_dataset), shared_by(theirs.runs).get(same_dataset)
    if before is None:
        return Incomparable(f"{NOT_COMPARABLE}{_NAMED} was not logged in the baseline", ours=False)
    if now is None:
        return Incomparable(f"{NOT_COMPARABLE}{_NAMED} was not logged here", ours=True)
    if now != before:
        return Incomparable(f"{NOT_COMPARABLE}{_ANOTHER} is used here", ours=True)
    if _lacks(ours, same_dataset) and not _lacks(theirs, same_dataset):
        return Incomparable(f"{NOT_COMPARABLE}some runs here have not logged {_NAMED}", ours=True)
    return None


def with_name(reason: str, name: str) -> str:
    """Name the dataset in the reason why two sides can't be compared."""
    return reason.replace(_NAMED, f"the {name} dataset").replace(_ANOTHER, f"another {name} dataset")


def _lacks(group: Group, use: str) -> bool:
    return any(use not in run.datasets for run in group.runs)


def _logged(runs: Iterable[Run]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for run in runs:
        for use, dataset in run.datasets.items():
            found.setdefault(use, set()).add(dataset)
    return found
