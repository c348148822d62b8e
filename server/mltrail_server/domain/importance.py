"""Which parameters mattered for a metric over many runs, and how sure that is. Standard library only.

Everything rests on ranks: of the runs by the metric, and of a parameter's numbers. So scales don't matter, logarithmic
or not, and a run that diverged to 1e308 counts as the worst and no more.

- *Importance* is the share of the metric's rank variance that the parameter explains on its own: a one-way analysis of
  variance over its values, numbers being cut into up to ten groups of equal size. This is the main effect of a
  functional ANOVA, and on ranks it is the test of Kruskal and Wallis. Shares are corrected for chance, as many groups
  explain something of any noise (epsilon squared, Kelley 1935). Their intervals are `_interval`'s.
- A share is reported only if a test finds it, at one false alarm in twenty for all parameters together (Holm). The test
  is F; of fewer than 20 configurations, whose ranks are too coarse for it, a permutation test. If it finds nothing,
  what a sweep of this size would have found with a probability of 80 % says whether it was large enough to tell.
- Runs that differ only in a repeat, such as the seed, are one configuration: counted apart, they would pretend to
  know more about all the other parameters than they do. Unless all combinations were tried about equally often: then
  the other parameters' effects cancel, and each run counts.
- *Interactions* are what pairs of parameters explain beyond the sum of all main effects (backfitted, since sweeps are
  seldom balanced).
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .statistics import incomplete_beta, normal_quantile, t_quantile, t_two_sided

LEAST = 10
"""Configurations below which nothing is judged."""
ALPHA = 0.05
NEGLIGIBLE = 0.05
"""If a share this large would have been found and was not, the parameter has no effect that matters."""
NOT_SET, OTHERS = "not set", "other values"
LOGARITHMIC = 100
"""Positive numbers that span more than this factor belong on a logarithmic axis."""

_MOST_GROUPS = 10
_RUNS_A_GROUP = 8
_MOST_WORDS = 20
_MOSTLY = 0.8
_LEAST_FREEDOM = 5
_ENOUGH = 200
"""Values that show whether a parameter has numbers."""
_MOST_PAIRED = 8
_MOST_GROUPS_OF_PAIR = 4
_RUNS_A_CELL = 8
_LEAST_INTERACTION = 0.02
"""Ranks bend a sum of effects a little, which looks like an interaction of this size at most."""
_FEW = 20
_MOST_PERMUTATIONS, _LEAST_PERMUTATIONS, _ALL_PERMUTATIONS = 999, 199, 30_000
_ENTANGLED = 0.5
_BACKFITS = 20
_NEARLY = 1e-9
_LARGEST_EXPONENT = 700.0
_POWER = 0.8


class Verdict(StrEnum):
    MATTERS = "matters"
    UNCLEAR = "unclear"  # too few runs to tell
    NEGLIGIBLE = "negligible"  # a share worth knowing would have been found
    UNJUDGED = "unjudged"  # nearly each run has a value of its own, or there are too few to judge anything


@dataclass(frozen=True, slots=True)
class Group:
    """Some of a parameter's values. `standing` is the mean rank of their runs: 0 the lowest of the metric, 1 the
    highest.
    """

    label: str
    count: int
    standing: float


@dataclass(frozen=True, slots=True)
class Importance:
    """`share`, `low` and `high` are facts only if the verdict is that it matters; so is `correlation` only if `p` of it
    is below 5 %, which `correlates` says. `detectable` is the share that would have been found.
    """

    name: str
    verdict: Verdict
    share: float = 0.0
    low: float = 0.0
    high: float = 1.0
    detectable: float = 1.0
    correlation: float | None = None  # of ranks (Spearman); None for words
    correlates: bool = False
    groups: tuple[Group, ...] = ()
    values: int = 0  # different ones


@dataclass(frozen=True, slots=True)
class Pair:
    """Two parameters that only together explain a further share, or (`entangled`) that were changed together."""

    first: str
    second: str
    share: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """`together` is the share that all parameters explain as a sum, without interactions; None where it can't be known.
    `noise` is the share that runs with equal parameters differ by, where enough were repeated.
    """

    runs: int
    configurations: int
    constant: bool = False  # all runs have the same value of the metric
    parameters: tuple[Importance, ...] = ()
    repeats: tuple[str, ...] = ()  # parameters that only tell repeats apart
    crossed: bool = False  # all combinations were tried, so that each run counts as a configuration
    together: float | None = None
    noise: float | None = None
    interactions: tuple[Pair, ...] = ()
    pairs_tested: int = 0
    entangled: tuple[Pair, ...] = ()

    @property
    def too_few(self) -> bool:
        return self.configurations < LEAST


@dataclass(frozen=True, slots=True)
class Coded:
    """A parameter's values, put into groups. `ranks` are of its numbers; None where there is none."""

    name: str
    groups: list[int]
    labels: list[str]
    values: int
    ranks: list[float | None] | None = None
    places: list[float | None] = field(default_factory=list)  # of each number among all, from 0 to 1
    own: bool = False  # nearly each run has a word of its own


def analyse(
    values: Sequence[float], parameters: Mapping[str, Sequence[str | None]], repeats: Iterable[str] = ()
) -> Analysis:
    """Judge all parameters by a metric's finite values. A parameter's values are in the runs' order, None where it is
    not set. Those named by `repeats` are not judged. The time grows with the number of values, not faster.
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
    found = _judged(list(by_name.values()), standing)
    if len(members) < LEAST:
        return Analysis(*sizes, parameters=found, repeats=of_repeats)
    model = _Additive(_most_useful(found, by_name, len(members)), standing)
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
        entangled=_entangled([by_name[one.name] for one in found if one.verdict is Verdict.MATTERS]),
    )


def _coded(parameters: Mapping[str, Sequence[str | None]], runs: Sequence[int]) -> dict[str, Coded]:
    """Put the values of each parameter into groups; those that have only one are left out."""
    coded = [code(name, [column[run] for run in runs]) for name, column in parameters.items()]
    return {one.name: one for one in coded if len(one.labels) > 1 or one.own}


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
    """Read a parameter's different values, if they are numbers but for a few such as `None`."""
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
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def _middle_ranks(values: Sequence[float]) -> dict[float, float]:
    counts = Counter(values)
    found, before = {}, 0
    for value in sorted(counts):
        found[value] = before + (counts[value] - 1) / 2
        before += counts[value]
    return found


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
    """Whether a parameter is a word of each run's own, such as a path of its output."""
    different = set(column)
    return len(different) > 0.9 * len(column) > 1 and numbers_of(column[:_ENOUGH]) is None


def _judged(coded: Sequence[Coded], standing: Sequence[float]) -> tuple[Importance, ...]:
    if len(standing) < LEAST:
        return tuple(Importance(one.name, Verdict.UNJUDGED, values=one.values) for one in coded)
    total = _squares(standing)
    tests = [_one_way(one, standing, total) for one in coded]
    if len(standing) < _FEW:
        tests = _permuted(coded, tests, standing)
    chances = _holm({place: test[1] for place, test in enumerate(tests) if test is not None})
    correlations = [_spearman(one, standing) for one in coded]
    sure = _holm({place: one[1] for place, one in enumerate(correlations) if one is not None})
    found = []
    for place, (one, test) in enumerate(zip(coded, tests, strict=True)):
        correlation = correlations[place]
        if test is None:
            found.append(Importance(one.name, Verdict.UNJUDGED, values=one.values))
            continue
        share, _ = test
        detectable = _detectable(len(standing), len(one.labels) - 1, len(chances))
        verdict = _verdict(chances[place], detectable)
        found.append(
            Importance(
                one.name,
                verdict,
                share,
                *(_interval(one, standing, share) if verdict is Verdict.MATTERS else (0.0, 1.0)),
                detectable,
                None if correlation is None else correlation[0],
                correlation is not None and sure[place] < ALPHA,
                _groups(one, standing),
                one.values,
            )
        )
    order = list(Verdict)
    return tuple(sorted(found, key=lambda one: (order.index(one.verdict), -one.share, one.name)))


def _verdict(chance: float, detectable: float) -> Verdict:
    if chance < ALPHA:
        return Verdict.MATTERS
    return Verdict.NEGLIGIBLE if detectable <= NEGLIGIBLE else Verdict.UNCLEAR


def _one_way(one: Coded, standing: Sequence[float], total: float) -> tuple[float, float] | None:
    """Return the share, and the probability of one as large by chance."""
    n, k = len(standing), len(one.labels)
    if one.own or n - k < _LEAST_FREEDOM:
        return None
    within = max(0.0, total - _between(one.groups, k, standing)) / total
    share = max(0.0, 1 - within * (n - 1) / (n - k))
    return share, incomplete_beta((n - k) / 2, (k - 1) / 2, within)


def _interval(one: Coded, standing: Sequence[float], share: float) -> tuple[float, float]:
    """Return between which shares the true one is, with 95 % confidence.

    The standard error is the infinitesimal jackknife's, which allows for ranks and groups that come from the data. Of
    few runs with a strong effect it can be far too small; so Olkin and Finn's (1995) is used where that is larger. It
    is taken on a logarithmic scale of what is not explained, which keeps the interval below 1.
    """
    n, k = len(standing), len(one.labels)
    expected = math.sqrt(4 * share * (1 - share) ** 2 * (n - k) ** 2 / ((n * n - 1) * (n + 3)))
    influences = _influences(one, standing)
    error = max(expected, math.sqrt(_squares(influences) / (n * (n - k))))
    rest = max(1 - share, _NEARLY)
    reach = math.exp(min(t_quantile(0.975, n - k) * error / rest, _LARGEST_EXPONENT))
    return max(0.0, 1 - rest * reach), 1 - rest / reach


def _influences(one: Coded, standing: Sequence[float]) -> list[float]:
    """Return how far each run moves the share, to the first order, by its rank and by moving the other runs'."""
    n = len(standing)
    mean = math.fsum(standing) / n
    places = [(value - mean) / n for value in standing]
    sums, counts = [0.0] * len(one.labels), [0] * len(one.labels)
    for group, place in zip(one.groups, places, strict=True):
        sums[group] += place
        counts[group] += 1
    means = [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
    of_groups = [means[group] for group in one.groups]
    total = math.fsum(place * place for place in places) / n
    share = math.fsum(level * level for level in of_groups) / n / total
    above = _above(places, of_groups, [share * place for place in places])
    return [
        ((2 * place - level) * level - share * place * place + 2 * above[place]) / total
        for place, level in zip(places, of_groups, strict=True)
    ]


def _above(places: Sequence[float], levels: Sequence[float], own: Sequence[float]) -> dict[float, float]:
    """Map each place to the mean of `levels` less `own` over all runs, counting those above and half of those at it."""
    at: dict[float, float] = {}
    for place, level, less in zip(places, levels, own, strict=True):
        at[place] = at.get(place, 0.0) + level - less
    found, above = {}, 0.0
    for place in sorted(at, reverse=True):
        found[place] = (above + at[place] / 2) / len(places)
        above += at[place]
    return found


def _permuted(
    coded: Sequence[Coded], tests: Sequence[tuple[float, float] | None], standing: Sequence[float]
) -> list[tuple[float, float] | None]:
    """Find the probabilities again, by how often a shuffled metric explains as much. The same each time."""
    rounds = max(_LEAST_PERMUTATIONS, min(_MOST_PERMUTATIONS, _ALL_PERMUTATIONS // len(coded)))
    order = random.Random(0)  # noqa: S311 - no secret
    shuffled = list(standing)
    as_large = [0] * len(coded)
    found = [_between(one.groups, len(one.labels), standing) * (1 - _NEARLY) for one in coded]
    for _ in range(rounds):
        order.shuffle(shuffled)
        for place, one in enumerate(coded):
            as_large[place] += _between(one.groups, len(one.labels), shuffled) >= found[place]
    return [
        None if test is None else (test[0], (1 + as_large[place]) / (1 + rounds)) for place, test in enumerate(tests)
    ]


def _between(groups: Sequence[int], k: int, values: Sequence[float]) -> float:
    """The squares between groups, of values whose mean is subtracted here."""
    mean = math.fsum(values) / len(values)
    sums, counts = [0.0] * k, [0] * k
    for group, value in zip(groups, values, strict=True):
        sums[group] += value - mean
        counts[group] += 1
    return math.fsum(total * total / count for total, count in zip(sums, counts, strict=True) if count)


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def _groups(one: Coded, standing: Sequence[float]) -> tuple[Group, ...]:
    sums, counts = [0.0] * len(one.labels), [0] * len(one.labels)
    for group, value in zip(one.groups, standing, strict=True):
        sums[group] += value
        counts[group] += 1
    most = max(1, len(standing) - 1)
    return tuple(
        Group(label, count, total / count / most)
        for label, count, total in zip(one.labels, counts, sums, strict=True)
        if count
    )


def _spearman(one: Coded, standing: Sequence[float]) -> tuple[float, float] | None:
    """Return the correlation of ranks, and the probability of one as far from 0 by chance."""
    if one.ranks is None:
        return None
    pairs = [(x, y) for x, y in zip(one.ranks, standing, strict=True) if x is not None]
    n = len(pairs)
    if n < LEAST:
        return None
    xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    scale = math.sqrt(_squares(xs) * _squares(ys))
    if not scale:
        return None
    r = max(-1.0, min(1.0, math.fsum((x - mean_x) * (y - mean_y) for x, y in pairs) / scale))
    rest = 1 - r * r
    return r, t_two_sided(r * math.sqrt((n - 2) / rest), n - 2) if rest > _NEARLY else 0.0


def _holm(chances: Mapping[int, float]) -> dict[int, float]:
    """Adjust probabilities so that below 5 % one family in twenty has a false alarm (Holm 1979)."""
    found, highest = {}, 0.0
    for done, (place, chance) in enumerate(sorted(chances.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, chance * (len(chances) - done)))
        found[place] = highest
    return found


def _detectable(n: int, freedom: int, tests: int) -> float:
    """Return the share that would be found in four of five such sweeps: a non-central chi-squared, as a normal."""
    z = normal_quantile(1 - ALPHA / max(1, tests))
    critical = freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3
    power = normal_quantile(_POWER)
    shift = critical
    for _ in range(50):
        shift = critical - freedom + power * math.sqrt(2 * (freedom + 2 * shift))
    return shift / (n + shift)


def _most_useful(found: Sequence[Importance], by_name: Mapping[str, Coded], count: int) -> list[Coded]:
    """Choose what can be fitted together: the most important first, with at least four configurations a group."""
    chosen, freedom = [], 0
    for one in found:
        coded = by_name[one.name]
        if one.verdict is not Verdict.UNJUDGED and freedom + len(coded.labels) - 1 <= count // 4:
            chosen.append(coded)
            freedom += len(coded.labels) - 1
    return chosen


class _Additive:
    """The sum of main effects, fitted to ranks by backfitting."""

    def __init__(self, parameters: Sequence[Coded], standing: Sequence[float]) -> None:
        self.parameters = parameters
        self.n = len(standing)
        self.freedom = sum(len(one.labels) - 1 for one in parameters)
        self.total = _squares(standing)
        mean = math.fsum(standing) / self.n
        self.rest = [value - mean for value in standing]
        before = self.total
        for _ in range(_BACKFITS if parameters else 0):
            for one in parameters:
                self._subtract(one)
            left = math.fsum(value * value for value in self.rest)
            if before - left < 1e-4 * self.total:
                break
            before = left
        self.left = math.fsum(value * value for value in self.rest)

    def _subtract(self, one: Coded) -> None:
        sums, counts = [0.0] * len(one.labels), [0] * len(one.labels)
        for group, value in zip(one.groups, self.rest, strict=True):
            sums[group] += value
            counts[group] += 1
        means = [total / count if count else 0.0 for total, count in zip(sums, counts, strict=True)]
        self.rest = [value - means[group] for group, value in zip(one.groups, self.rest, strict=True)]

    def share(self) -> float | None:
        free = self.n - 1 - self.freedom
        if not self.parameters or free < _LEAST_FREEDOM:
            return None
        return max(0.0, 1 - self.left / self.total * (self.n - 1) / free)

    def interactions(self) -> tuple[tuple[Pair, ...], int]:
        """Find the pairs that explain more than their sum, and how many pairs were tried."""
        most = min(_MOST_GROUPS_OF_PAIR, math.isqrt(self.n // _RUNS_A_CELL))
        if most < 2 or len(self.parameters) < 2:
            return (), 0
        coarse = [(one.name, _coarse(one, most)) for one in self.parameters[:_MOST_PAIRED]]
        tested: list[tuple[Pair, float]] = []
        for place, (first, rows) in enumerate(coarse):
            for second, columns in coarse[:place]:
                pair = self._pair(first, second, rows, columns)
                tested += [pair] if pair else []
        chances = _holm({place: chance for place, (_, chance) in enumerate(tested)})
        found = [
            pair
            for place, (pair, _) in enumerate(tested)
            if chances[place] < ALPHA and pair.share >= _LEAST_INTERACTION
        ]
        return tuple(sorted(found, key=lambda pair: -pair.share)), len(tested)

    def _pair(self, first: str, second: str, rows: list[int], columns: list[int]) -> tuple[Pair, float] | None:
        wide = max(columns) + 1
        size = (max(rows) + 1) * wide
        sums, counts = [0.0] * size, [0] * size
        for row, column, value in zip(rows, columns, self.rest, strict=True):
            sums[row * wide + column] += value
            counts[row * wide + column] += 1
        means = {divmod(cell, wide): sums[cell] / count for cell, count in enumerate(counts) if count}
        weights = {divmod(cell, wide): count for cell, count in enumerate(counts) if count}
        freedom = len(means) - len({row for row, _ in means}) - len({column for _, column in means}) + 1
        free = self.n - 1 - self.freedom - freedom
        if freedom < 1 or free < _LEAST_FREEDOM:
            return None
        for _ in range(_BACKFITS):
            if _centre(means, weights, 0) + _centre(means, weights, 1) < _NEARLY * self.n:
                break
        explained = math.fsum(weights[cell] * mean * mean for cell, mean in means.items())
        left = max(self.left - explained, _NEARLY * self.total)
        share = max(0.0, (explained - freedom * left / free) / self.total)
        chance = incomplete_beta(free / 2, freedom / 2, left / (left + explained)) if explained > 0 else 1.0
        return Pair(second, first, share), chance


def _centre(means: dict[tuple[int, int], float], counts: Mapping[tuple[int, int], int], side: int) -> float:
    """Subtract the means of the rows (0) or columns (1), and return how far that moved anything."""
    sums: dict[int, float] = {}
    numbers: dict[int, int] = {}
    for cell, mean in means.items():
        sums[cell[side]] = sums.get(cell[side], 0.0) + mean * counts[cell]
        numbers[cell[side]] = numbers.get(cell[side], 0) + counts[cell]
    for cell in means:
        means[cell] -= sums[cell[side]] / numbers[cell[side]]
    return max((abs(sums[key]) / numbers[key] for key in sums), default=0.0)


def _coarse(one: Coded, most: int) -> list[int]:
    """Put the values into few groups, so that each pair of them has runs: neighbouring numbers, usual words."""
    if len(one.labels) <= most:
        return one.groups
    if one.ranks is not None:
        return [most if place is None else min(most - 1, int(place * most)) for place in one.places]
    usual = [group for group, _ in Counter(one.groups).most_common(most - 1)]
    at = {group: place for place, group in enumerate(usual)}
    return [at.get(group, most - 1) for group in one.groups]


def _noise(of_runs: Sequence[float], members: Sequence[Sequence[int]]) -> float | None:
    """Return how much of the variance runs of equal parameters have among themselves."""
    freedom = len(of_runs) - len(members)
    if freedom < LEAST:
        return None
    within = math.fsum(_squares([of_runs[run] for run in group]) for group in members if len(group) > 1)
    total = _squares(of_runs)
    return min(1.0, within / freedom * (len(of_runs) - 1) / total) if total else None


def _entangled(parameters: Sequence[Coded]) -> tuple[Pair, ...]:
    """Find pairs whose values came together, by Cramér's V with Bergsma's correction for chance (2013)."""
    found = []
    for place, second in enumerate(parameters[:_MOST_PAIRED]):
        for first in parameters[:place]:
            strength = _cramer(first.groups, second.groups)
            if strength >= _ENTANGLED:
                found.append(Pair(first.name, second.name, strength))
    return tuple(sorted(found, key=lambda pair: -pair.share))


def _cramer(first: Sequence[int], second: Sequence[int]) -> float:
    n = len(first)
    rows, columns = Counter(first), Counter(second)
    cells = Counter(zip(first, second, strict=True))
    phi = math.fsum(count * count / (rows[row] * columns[column]) for (row, column), count in cells.items()) - 1
    r, c = len(rows), len(columns)
    corrected = max(0.0, phi - (r - 1) * (c - 1) / (n - 1))
    smaller = min(r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)) - 1
    return min(1.0, math.sqrt(corrected / smaller)) if smaller > 0 else 0.0
