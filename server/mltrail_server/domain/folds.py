"""Compare cross-validation fold by fold: a fold's data affects both sides alike, so it is not a difference."""

import math
from collections.abc import Iterable, Sequence

from .evidence import Evidence
from .grouping import Run, usable
from .statistics import summarise

_FEWEST = 2


def means(runs: Iterable[Run], metric: str, pair_by: Sequence[str]) -> dict[tuple[str, ...], float]:
    """Average a metric over the repeats of each fold. Runs without a fold are left out."""
    values: dict[tuple[str, ...], list[float]] = {}
    for run in runs:
        fold = tuple(run.params[name] for name in pair_by if name in run.params)
        value = run.metrics.get(metric)
        if fold and value is not None and usable(value):
            values.setdefault(fold, []).append(value)
    return {fold: math.fsum(found) / len(found) for fold, found in values.items()}


def has_any(runs: Iterable[Run], pair_by: Sequence[str]) -> bool:
    """Whether runs say which fold they are of. Without any in the baseline, nothing is compared by fold."""
    return any(name in run.params for run in runs for name in pair_by)


def shared_means(
    before: Iterable[Run], now: Iterable[Run], metric: str, pair_by: Sequence[str]
) -> tuple[float, float] | None:
    """Average each side over the folds that both have, so that logging easy folds, or some twice, gains nothing."""
    theirs, ours = means(before, metric, pair_by), means(now, metric, pair_by)
    common = sorted(theirs.keys() & ours.keys())
    if not common:
        return None
    return math.fsum(theirs[one] for one in common) / len(common), math.fsum(ours[one] for one in common) / len(common)


def lost(before: Iterable[Run], now: Iterable[Run], metric: str, pair_by: Sequence[str]) -> tuple[int, int]:
    """Return how many of the earlier folds are missing now, and how many there were."""
    theirs, ours = means(before, metric, pair_by), means(now, metric, pair_by)
    return len(theirs.keys() - ours.keys()), len(theirs)


def paired(before: Iterable[Run], now: Iterable[Run], metric: str, pair_by: Sequence[str]) -> Evidence | None:
    """Test the differences in the folds that both sides have. None when there are fewer than two, or all differences
    are equal: then nothing shows how large chance is.

    Folds share training data, so their differences vary less than independent ones would: the variance is corrected
    by 1/k + 1/(k - 1) instead of 1/k (C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine
    Learning 52 (2003), where 1/(k - 1) is the size of a fold relative to the others).
    """
    theirs, ours = means(before, metric, pair_by), means(now, metric, pair_by)
    common = sorted(theirs.keys() & ours.keys())
    k = len(common)
    if k < _FEWEST:
        return None
    differences = summarise([ours[fold] - theirs[fold] for fold in common])
    sd = differences.sd or 0.0
    if not sd:
        return None
    error = sd * math.sqrt(1 / k + 1 / (k - 1))
    return Evidence(differences.mean, error, sd, k - 1)
