"""What each parameter explains on its own."""

import math
import random
from collections.abc import Sequence

from mltrail_server.domain.statistics import incomplete_beta, normal_quantile, t_quantile, t_two_sided

from .chance import LEAST_FREEDOM, NEARLY, holm, squares
from .coding import Coded
from .results import ALPHA, LEAST, NEGLIGIBLE, Group, Importance, Verdict

_FEW = 20
_MOST_PERMUTATIONS, _LEAST_PERMUTATIONS, _ALL_PERMUTATIONS = 999, 199, 30_000
_LARGEST_EXPONENT = 700.0
_POWER = 0.8


def judged(coded: Sequence[Coded], standing: Sequence[float]) -> tuple[Importance, ...]:
    if len(standing) < LEAST:
        return tuple(Importance(one.name, Verdict.UNJUDGED, values=one.values) for one in coded)
    total = squares(standing)
    tests = [_one_way(one, standing, total) for one in coded]
    if len(standing) < _FEW:
        tests = _permuted(coded, tests, standing)
    chances = holm({place: test[1] for place, test in enumerate(tests) if test is not None})
    correlations = [_spearman(one, standing) for one in coded]
    sure = holm({place: one[1] for place, one in enumerate(correlations) if one is not None})
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
                *(interval(one, standing, share) if verdict is Verdict.MATTERS else (0.0, 1.0)),
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
    if one.own or n - k < LEAST_FREEDOM:
        return None
    within = max(0.0, total - _between(one.groups, k, standing)) / total
    share = max(0.0, 1 - within * (n - 1) / (n - k))
    return share, incomplete_beta((n - k) / 2, (k - 1) / 2, within)


def interval(one: Coded, standing: Sequence[float], share: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share.

    The standard error is the infinitesimal jackknife's, which allows for ranks and groups that come from the data. With
    few runs and a strong effect, it can be far too small, so Olkin and Finn's (1995) is used where that is larger. The
    interval is taken on a logarithmic scale of what is not explained, which keeps it below 1.
    """
    n, k = len(standing), len(one.labels)
    expected = math.sqrt(4 * share * (1 - share) ** 2 * (n - k) ** 2 / ((n * n - 1) * (n + 3)))
    influences = _influences(one, standing)
    error = max(expected, math.sqrt(squares(influences) / (n * (n - k))))
    rest = max(1 - share, NEARLY)
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
    """Replace the probabilities by how often a shuffled metric explains as much. Shuffles are always the same."""
    rounds = max(_LEAST_PERMUTATIONS, min(_MOST_PERMUTATIONS, _ALL_PERMUTATIONS // max(1, len(coded))))
    order = random.Random(0)  # noqa: S311 - no secret
    shuffled = list(standing)
    as_large = [0] * len(coded)
    found = [_between(one.groups, len(one.labels), standing) * (1 - NEARLY) for one in coded]
    for _ in range(rounds):
        order.shuffle(shuffled)
        for place, one in enumerate(coded):
            as_large[place] += _between(one.groups, len(one.labels), shuffled) >= found[place]
    return [
        None if test is None else (test[0], (1 + as_large[place]) / (1 + rounds)) for place, test in enumerate(tests)
    ]


def _between(groups: Sequence[int], k: int, values: Sequence[float]) -> float:
    """Return the sum of squares between groups, of values that need not be centred."""
    mean = math.fsum(values) / len(values)
    sums, counts = [0.0] * k, [0] * k
    for group, value in zip(groups, values, strict=True):
        sums[group] += value - mean
        counts[group] += 1
    return math.fsum(total * total / count for total, count in zip(sums, counts, strict=True) if count)


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
    scale = math.sqrt(squares(xs) * squares(ys))
    if not scale:
        return None
    r = max(-1.0, min(1.0, math.fsum((x - mean_x) * (y - mean_y) for x, y in pairs) / scale))
    rest = 1 - r * r
    return r, t_two_sided(r * math.sqrt((n - 2) / rest), n - 2) if rest > NEARLY else 0.0


def _detectable(n: int, freedom: int, tests: int) -> float:
    """Return the share that would be found in four of five such sweeps: a non-central chi-squared, as a normal."""
    z = normal_quantile(1 - ALPHA / max(1, tests))
    critical = freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3
    power = normal_quantile(_POWER)
    shift = critical
    for _ in range(50):
        shift = critical - freedom + power * math.sqrt(2 * (freedom + 2 * shift))
    return shift / (n + shift)
