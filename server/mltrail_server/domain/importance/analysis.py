"""The analysis of a sweep, from a metric and parameters to what mattered."""

import math
from collections.abc import Iterable, Mapping, Sequence

from . import main_effects
from .chance import squares
from .coding import Coded, code, numbers_of, ranks
from .results import LEAST, Analysis, Importance, Verdict
from .together import Additive, entangled

_ENOUGH = 200
"""How many values are enough to see whether a parameter is a number."""


def analyse(
    values: Sequence[float], parameters: Mapping[str, Sequence[str | None]], repeats: Iterable[str] = ()
) -> Analysis:
    """Judge all parameters by a metric's finite values. A parameter's values are in the runs' order, None where it is
    not set. Parameters in `repeats` are not judged. The time grows with the number of values, not faster.
    """
    of_repeats = tuple(sorted(parameters.keys() & set(repeats)))
    judged = {name: column for name, column in parameters.items() if name not in of_repeats}
    of_runs = ranks(values)
    groups = _configurations(judged, len(values))
    crossed = len(groups) < len(values) and _is_crossed(judged, groups)
    members = [[run] for run in range(len(values))] if crossed else groups
    standing = ranks([sum(of_runs[run] for run in group) / len(group) for group in members])
    sizes = (len(values), len(members))
    if not members or min(standing) == max(standing):
        return Analysis(*sizes, constant=bool(members), repeats=of_repeats)
    by_name = _coded(judged, [group[0] for group in members])
    found = main_effects.judged(list(by_name.values()), standing)
    if len(members) < LEAST:
        return Analysis(*sizes, parameters=found, repeats=of_repeats)
    model = Additive(_most_useful(found, by_name, len(members)), standing)
    interactions, tested = model.interactions()
    return Analysis(
        *sizes,
        parameters=found,
        repeats=of_repeats,
        together=model.share(),
        crossed=crossed,
        noise=_noise(of_runs, groups),
        interactions=interactions,
        pairs_tested=tested,
        entangled=entangled([by_name[one.name] for one in found if one.verdict is Verdict.MATTERS]),
    )


def _configurations(parameters: Mapping[str, Sequence[str | None]], runs: int) -> list[list[int]]:
    """Put the runs that have equal parameters together."""
    telling = [column for column in parameters.values() if not _names_the_run(column)]
    if not telling:
        return [[run] for run in range(runs)]
    members: dict[tuple[str | None, ...], list[int]] = {}
    for run, key in enumerate(zip(*telling, strict=True)):
        members.setdefault(key, []).append(run)
    return list(members.values())


def _is_crossed(parameters: Mapping[str, Sequence[str | None]], groups: Sequence[Sequence[int]]) -> bool:
    """Whether all combinations of the parameters' values were tried, each about equally often."""
    combinations = math.prod(len(set(column)) for column in parameters.values())
    sizes = [len(group) for group in groups]
    return combinations == len(groups) and max(sizes) <= 2 * min(sizes)


def _names_the_run(column: Sequence[str | None]) -> bool:
    """Whether a parameter is a word that nearly every run has for itself, such as the path of its output."""
    different = set(column)
    return len(different) > 0.9 * len(column) > 1 and numbers_of(column[:_ENOUGH]) is None


def _coded(parameters: Mapping[str, Sequence[str | None]], runs: Sequence[int]) -> dict[str, Coded]:
    """Put the values of each parameter into groups; those that have only one are left out."""
    coded = [code(name, [column[run] for run in runs]) for name, column in parameters.items()]
    return {one.name: one for one in coded if len(one.labels) > 1 or one.own}


def _most_useful(found: Sequence[Importance], by_name: Mapping[str, Coded], count: int) -> list[Coded]:
    """Choose what can be fitted together: the most important first, with at least four configurations a group."""
    chosen, freedom = [], 0
    for one in found:
        coded = by_name[one.name]
        if one.verdict is not Verdict.UNJUDGED and freedom + len(coded.labels) - 1 <= count // 4:
            chosen.append(coded)
            freedom += len(coded.labels) - 1
    return chosen


def _noise(of_runs: Sequence[float], members: Sequence[Sequence[int]]) -> float | None:
    """Return the share of the variance that lies between runs with equal parameters."""
    freedom = len(of_runs) - len(members)
    if freedom < LEAST:
        return None
    within = math.fsum(squares([of_runs[run] for run in group]) for group in members if len(group) > 1)
    total = squares(of_runs)
    return min(1.0, within / freedom * (len(of_runs) - 1) / total) if total else None
