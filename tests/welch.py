"""Welch's test as a whole, from the parts that the server uses."""

import math

from mltrail_server.domain.statistics import MeanError, Summary, t_quantile, t_two_sided, welch


def mean_error(summary: Summary) -> MeanError:
    assert summary.sd is not None
    return MeanError(summary.sd / math.sqrt(summary.n), summary.n - 1)


def welch_p(first: Summary, second: Summary) -> float:
    """Return the probability of a difference at least this large by chance, in either direction."""
    error, freedom = welch(mean_error(first), mean_error(second))
    return t_two_sided((second.mean - first.mean) / error, freedom)


def welch_interval(first: Summary, second: Summary) -> tuple[float, float]:
    """Return the bounds of second minus first, with 95 % confidence."""
    error, freedom = welch(mean_error(first), mean_error(second))
    delta, reach = second.mean - first.mean, t_quantile(0.975, freedom) * error
    return delta - reach, delta + reach
