"""A parameter's values, put into groups: numbers by equal counts, words by themselves."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mltrail_server.domain.numbers import at_a_glance

NOT_SET, OTHERS = "not set", "other values"
LOGARITHMIC = 100
"""Positive numbers that span more than this factor belong on a logarithmic axis."""

_MOST_GROUPS = 10
_RUNS_A_GROUP = 8
_MOST_WORDS = 20
_MOSTLY = 0.8


@dataclass(frozen=True, slots=True)
class Coded:
    """A parameter's values, put into groups. `ranks` are of its numbers; None where there is none."""

    name: str
    groups: list[int]
    labels: list[str]
    values: int
    ranks: list[float | None] | None = None
    places: list[float | None] = field(default_factory=list)  # of each number among all, from 0 to 1
    own: bool = False  # nearly every run has a word of its own


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 0 on; equal values share the mean of theirs."""
    place = _middle_ranks(values)
    return [place[value] for value in values]


def number(text: str | None) -> float | None:
    """Read a parameter's value as a finite number."""
    try:
        found = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def numbers_of(values: Sequence[str | None]) -> dict[str | None, float | None] | None:
    """Read a parameter's different values as numbers, if nearly all are; others become None."""
    numbers = {value: number(value) for value in set(values)}
    given = len(numbers) - (None in numbers)
    known = len(numbers) - list(numbers.values()).count(None)
    return numbers if known >= max(2, _MOSTLY * given) else None


def is_logarithmic(low: float, high: float) -> bool:
    return low > 0 and high / LOGARITHMIC >= low


def code(name: str, values: Sequence[str | None], most: int | None = None) -> Coded:
    """Put the values into groups: numbers by equal counts with equal numbers together, words by themselves."""
    most = most or min(_MOST_GROUPS, max(2, len(values) // _RUNS_A_GROUP))
    numbers = numbers_of(values)
    return _coded_words(name, values, most) if numbers is None else _coded_numbers(name, values, numbers, most)


def _coded_numbers(
    name: str, values: Sequence[str | None], numbers: Mapping[str | None, float | None], most: int
) -> Coded:
    middle = _middle_ranks([number for number in map(numbers.get, values) if number is not None])
    known = sum(1 for value in values if numbers[value] is not None)
    place = {number: (rank + 0.5) / known for number, rank in middle.items()}
    ends: dict[int, list[float]] = {}
    for number in middle:
        ends.setdefault(int(place[number] * most), []).append(number)
    words = sorted({_word(value) for value, number in numbers.items() if number is None})
    at = {group: number for number, group in enumerate([*sorted(ends), *words])}
    group_of = {
        value: at[_word(value) if number is None else int(place[number] * most)] for value, number in numbers.items()
    }
    return Coded(
        name,
        [group_of[value] for value in values],
        [*(_span(ends[group]) for group in sorted(ends)), *words],
        len(numbers) - (None in numbers),
        _looked_up(values, numbers, middle),
        _looked_up(values, numbers, place),
    )


def _looked_up(
    values: Sequence[str | None], numbers: Mapping[str | None, float | None], table: Mapping[float, float]
) -> list[float | None]:
    found = {value: None if number is None else table[number] for value, number in numbers.items()}
    return [found[value] for value in values]


def _word(value: str | None) -> str:
    return NOT_SET if value is None else value


def _coded_words(name: str, values: Sequence[str | None], most: int) -> Coded:
    counts = Counter(value for value in values if value is not None)
    given = sum(counts.values())
    often = [word for word, count in counts.most_common(max(most, min(_MOST_WORDS, given // 4))) if count > 1]
    own = bool(given) and 2 * sum(counts[word] for word in often) < given
    order = sorted(often)
    at: dict[str | None, int] = {word: place for place, word in enumerate(order)}
    if len(counts) > len(often):
        at |= dict.fromkeys(counts.keys() - set(often), len(order))
        order.append(OTHERS if len(counts) > len(often) + 1 else next(iter(counts.keys() - set(often))))
    if given < len(values):
        at[None] = len(order)
        order.append(NOT_SET)
    return Coded(name, [at[value] for value in values], order, len(counts), own=own)


def _span(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return at_a_glance(low) if low == high else f"{at_a_glance(low)} to {at_a_glance(high)}"


def _middle_ranks(values: Sequence[float]) -> dict[float, float]:
    counts = Counter(values)
    found, before = {}, 0
    for value in sorted(counts):
        found[value] = before + (counts[value] - 1) / 2
        before += counts[value]
    return found
