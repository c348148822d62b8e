"""Runs with equal parameters, which are one configuration."""

import math
from collections.abc import Mapping, Sequence

from .coding import numbers_of

_ENOUGH = 200
"""How many values are enough to see whether a parameter is a number."""


def configurations(parameters: Mapping[str, Sequence[str | None]], runs: int) -> list[list[int]]:
    """Put the runs that have equal parameters together."""
    telling = [column for column in parameters.values() if not _names_the_run(column)]
    if not telling:
        return [[run] for run in range(runs)]
    members: dict[tuple[str | None, ...], list[int]] = {}
    for run, key in enumerate(zip(*telling, strict=True)):
        members.setdefault(key, []).append(run)
    return list(members.values())


def is_crossed(parameters: Mapping[str, Sequence[str | None]], groups: Sequence[Sequence[int]]) -> bool:
    """Whether all combinations of the parameters' values were tried, each about equally often."""
    combinations = math.prod(len(set(column)) for column in parameters.values())
    sizes = [len(group) for group in groups]
    return combinations == len(groups) and max(sizes) <= 2 * min(sizes)


def _names_the_run(column: Sequence[str | None]) -> bool:
    """Whether a parameter is a word that nearly every run has for itself, such as the path of its output."""
    different = set(column)
    return len(different) > 0.9 * len(column) > 1 and numbers_of(column[:_ENOUGH]) is None
