"""Which datasets runs have logged, and whether two sides were measured on the same ones, by name and digest."""

from collections.abc import Iterable

from .grouping import Group, Run

_TRAINING = "train"


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


def incomparable(ours: Group, theirs: Group | None, same_dataset: str | None) -> tuple[str | None, bool]:
    """Say why two sides can't be compared, None if they can, and whether this side is the cause."""
    if same_dataset is None or theirs is None:
        return None, False
    now, before = shared_by(ours.runs).get(same_dataset), shared_by(theirs.runs).get(same_dataset)
    if before is None:
        return "not comparable: the dataset that the contract names was not logged in the baseline", False
    if now is None:
        return "not comparable: the dataset that the contract names was not logged here", True
    if now != before:
        return "not comparable: another dataset is used here", True
    if _lacks(ours, same_dataset) and not _lacks(theirs, same_dataset):
        return "not comparable: some runs here have not logged the dataset that the contract names", True
    return None, False


def _lacks(group: Group, use: str) -> bool:
    return any(use not in run.datasets for run in group.runs)


def _logged(runs: Iterable[Run]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for run in runs:
        for use, dataset in run.datasets.items():
            found.setdefault(use, set()).add(dataset)
    return found
