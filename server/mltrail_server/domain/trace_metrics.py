"""Latency, tokens and cost of a run, computed from its traces. They are not stored: traces say them whenever a report
asks.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from .traces import COST_KEY

PREFIX = "traces/"
LATENCY_P50 = "traces/latency_p50_ms"
LATENCY_P95 = "traces/latency_p95_ms"
TOKENS_MEAN = "traces/tokens_mean"
TOKENS_TOTAL = "traces/tokens_total"
COST_MEAN = "traces/cost_mean"
COST_TOTAL = "traces/cost_total"
NAMES = (LATENCY_P50, LATENCY_P95, TOKENS_MEAN, TOKENS_TOTAL, COST_MEAN, COST_TOTAL)
"""Lower is better in all of them."""

_LARGEST = 1e15


@dataclass(slots=True)
class Spent:
    """What the traces of a run have taken: milliseconds, tokens and cost, of each trace that says it."""

    durations: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def add_duration(self, milliseconds: int | None) -> None:
        if milliseconds is not None and milliseconds >= 0:
            self.durations.append(float(milliseconds))

    def add(self, key: str, text: str) -> None:
        """Add what a trace's metadata say of its tokens, or of its cost."""
        values, total = (self.costs, total_cost) if key == COST_KEY else (self.tokens, total_tokens)
        number = total(text)
        if number is not None:
            values.append(number)

    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        if self.durations:
            found[LATENCY_P50] = percentile(self.durations, 50)
            found[LATENCY_P95] = percentile(self.durations, 95)
        for values, mean, total in ((self.tokens, TOKENS_MEAN, TOKENS_TOTAL), (self.costs, COST_MEAN, COST_TOTAL)):
            if values:
                found[total] = math.fsum(values)
                found[mean] = found[total] / len(values)
        return found


def unknown(names: Iterable[str] = NAMES) -> dict[str, float]:
    """Return what is known of a run some of whose traces are deleted or unread: the rest might look better."""
    return dict.fromkeys(names, math.nan)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile with linear interpolation, as NumPy computes it."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def total_tokens(text: str) -> float | None:
    """Read a trace's token usage, as MLflow's clients write it: JSON with `total_tokens`, or the two parts of it."""
    found = _numbers(text)
    if "total_tokens" in found:
        return found["total_tokens"]
    parts = [found[key] for key in ("input_tokens", "output_tokens") if key in found]
    return sum(parts) if parts else None


def total_cost(text: str) -> float | None:
    """Read a trace's cost: JSON with `total_cost`, or the two parts of it."""
    found = _numbers(text)
    if "total_cost" in found:
        return found["total_cost"]
    parts = [found[key] for key in ("input_cost", "output_cost") if key in found]
    return sum(parts) if parts else None


def _numbers(text: str) -> dict[str, float]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        key: float(value)
        for key, value in found.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _LARGEST
    }
