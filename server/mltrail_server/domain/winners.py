"""What luck gives the best of several candidates, on this side and on the target branch.

The best of k equally good candidates looks better than it is, and so does the best of k₀ on the branch. A difference
between the two is judged by how max k less max k₀ varies by chance (H. White, "A reality check for data snooping",
Econometrica 68 (2000)), here by integrating over the normal distribution. Candidates that are clearly worse than the
best had no chance to win, and don't count. How many of the others had one is not known, so luck counts fully against a
claim, and in its favour only as far as it is certain: a gain must be larger than what all of them explain, but a loss
may not rest on a lead that only candidates as good as the best would have given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from . import statistics
from .statistics import MeanError, Summary

_APART = 0.01
_ALIKE = 0.3
_FROM, _STEP, _NODES = -5.0, 0.5, 22
_LEAST = 1e-6
_SMALL = 5e-3
_SIDE = 4
_CERTAIN = 1000.0


class Part(NamedTuple):
    """A difference that has a share in a mixture, and the standard errors of this side and of the branch's."""

    share: float
    difference: float
    here: float
    there: float


@dataclass(frozen=True, slots=True)
class Contest:
    """How many contenders the best was chosen from: `here` on this side, `there` in each pipeline of the target branch.

    Contenders are the candidates that are too close to the best to be told apart from it, and the best itself. Of them,
    `alike_here` and `alike_there` hardly differ from the best: so many surely had a chance to win. `ranks` is whether
    this metric chose the best; another metric of the same runs was chosen with it to an unknown degree. With `lower`,
    lower values are better. `error` is the standard error of the mean of one pipeline of the branch: `weigh` fills it
    in.
    """

    here: int = 1
    there: int = 1
    alike_here: int = 1
    alike_there: int = 1
    ranks: bool = True
    lower: bool = False
    error: float = 0.0

    @property
    def matters(self) -> bool:
        """Whether anything was chosen."""
        return self.here > 1 or self.there > 1


ALONE = Contest()


def contenders(candidates: Sequence[Summary], *, lower: bool = False) -> int:
    """Count the candidates that are not clearly worse than the best: at least 1, unless there are none."""
    if not candidates:
        return 0
    sign = -1 if lower else 1
    best = max(candidates, key=lambda one: sign * one.mean)
    allowed = _APART / max(len(candidates) - 1, 1)
    squares = math.fsum(one.sd**2 * (one.n - 1) for one in candidates if one.sd is not None)
    freedom = sum(one.n - 1 for one in candidates if one.sd is not None)
    if not squares:
        return len(candidates)  # nothing shows how far chance goes
    sd = math.sqrt(squares / freedom)

    def near(one: Summary) -> bool:
        t = sign * (best.mean - one.mean) / (sd * math.sqrt(1 / best.n + 1 / one.n))
        return statistics.t_two_sided(t, freedom) / 2 >= allowed

    return sum(near(one) for one in candidates)


def alike(candidates: Sequence[Summary], branch: MeanError | None = None, *, lower: bool = False) -> int:
    """Count the candidates that chance would put at least as far behind the best in three of ten cases if both were
    equally good, and the best: 1 if nothing shows the spread from run to run. `branch` is the target branch's.
    """
    known = [MeanError(one.sd, one.n - 1) for one in candidates if one.sd is not None]
    known += [branch] if branch is not None else []
    squares = math.fsum(sd**2 * own for sd, own in known)
    if not candidates or not squares:
        return 1
    sign = -1 if lower else 1
    best = max(candidates, key=lambda one: sign * one.mean)
    sd = math.sqrt(squares / math.fsum(own for _, own in known))
    reach = sd * statistics.t_quantile(1 - _ALIKE, math.inf)
    return sum(sign * (best.mean - one.mean) <= reach * math.sqrt(1 / best.n + 1 / one.n) for one in candidates)


def merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """Join small parts with their neighbours: many are slow to integrate over, and none may be left out."""
    found, small = [], []
    for part in sorted(parts, key=lambda one: one.difference):
        if part.share >= _SMALL:
            found.append(part)
            continue
        small.append(part)
        if math.fsum(one.share for one in small) >= _SMALL:
            found.append(_joined(small))
            small = []
    return (*found, _joined(small)) if small else tuple(found)


def _joined(parts: Sequence[Part]) -> Part:
    """Return one part with the mean and the variance of several."""
    share = math.fsum(one.share for one in parts)
    mean = math.fsum(one.share * one.difference for one in parts) / share
    variance = math.fsum(one.share * (one.there**2 + (one.difference - mean) ** 2) for one in parts) / share
    return Part(share, mean, parts[0].here, math.sqrt(variance))


def normal_tail(parts: Sequence[Part], limit: float, *, falls: bool) -> float:
    """Return how often chance alone makes a difference as low as `parts` or, unless it `falls`, as high, if the true
    one is `limit`.
    """
    erfc, hypot = math.erfc, math.hypot  # this loop takes much of the time of a judgement
    scale = 1 / math.sqrt(2) if falls else -1 / math.sqrt(2)
    return (
        math.fsum(
            [
                share * erfc(scale * (limit - difference) / hypot(here, there))
                for share, difference, here, there in parts
            ]
        )
        / 2
    )


def chosen_tail(parts: Sequence[Part], contest: Contest, freedom: float, *, lowest: bool) -> float:
    """Return the same for the best of several; with `lowest`, the lowest is the best, and the tail is that of a gain.

    The branch's level rests on the best of each of its pipelines, so it is as lucky as one of them, but the better
    known the more of them there are. How far luck goes is only as well known as the spread, so that its `freedom` is
    integrated over too, as C. W. Dunnett does ("A multiple comparison procedure for comparing several treatments with a
    control", JASA 50 (1955)).
    """
    if lowest:
        ours, theirs = contest.here, contest.alike_there
    else:
        ours, theirs = contest.alike_here, contest.there
    nodes, expected = _maximum(theirs)
    erfc, whole = math.erfc, 0.0
    for part in parts:
        unit = math.sqrt(2) * part.here
        sign = 1 if lowest else -1
        offs = [(sign * part.difference * scale / unit, chance) for scale, chance in _spreads(freedom)]
        for u, weight in nodes:
            luck = (contest.error * expected + (u - expected) * part.there) / unit
            # The normal distribution written out, as most of the time for a sweep is spent here.
            all_below = sum([chance * (erfc(off - luck) / 2) ** ours for off, chance in offs])
            whole += part.share * weight * (1 - all_below if lowest else all_below)
    return whole


def expected(k: int) -> float:
    """Return the mean of the highest of `k` standard normal values."""
    return _maximum(k)[1]


@lru_cache(maxsize=64)
def _spreads(freedom: float) -> tuple[tuple[float, float], ...]:
    """Return points and weights for integrating over an estimated standard deviation whose true value is 1."""
    if freedom > _CERTAIN:
        return ((1.0, 1.0),)
    reach = 4 / math.sqrt(2 * freedom)
    points = [1 + reach * place / _SIDE for place in range(-_SIDE, _SIDE + 3)]
    logs = [(one, (freedom - 1) * math.log(one) - freedom * one * one / 2) for one in points if one > 0]
    highest = max(log for _, log in logs)
    heights = [(one, math.exp(log - highest)) for one, log in logs]
    total = math.fsum(height for _, height in heights)
    return tuple((one, height / total) for one, height in heights)


@lru_cache(maxsize=64)
def _maximum(k: int) -> tuple[tuple[tuple[float, float], ...], float]:
    """Return points and weights for integrating over the highest of `k` standard normal values, and its mean."""
    points = [_FROM + _STEP * place for place in range(_NODES)]
    heights = [math.exp(-u * u / 2) * statistics.normal_below(u) ** (k - 1) for u in points]
    total = math.fsum(heights)
    nodes = tuple((u, height / total) for u, height in zip(points, heights, strict=True) if height > _LEAST * total)
    return nodes, math.fsum(u * weight for u, weight in nodes)
