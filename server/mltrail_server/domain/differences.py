"""Write two values of a metric and the difference between them, so that their digits add up: 12.0 → 13.2 is +1.2."""

from dataclasses import dataclass
from functools import cached_property

from .direction import Better, MetricDirection, is_in_points, unit_of
from .numbers import decimals_for, is_plain, number, signed

_MOST_DECIMALS = 6
_MORE = 1
_WITHIN = 2  # chance mostly stays within two standard errors


@dataclass(frozen=True)
class Difference:
    """A metric before and now. `spread` is the difference's standard error: finer digits say nothing. `relative` asks
    for the difference in per cent too, which a metric that is better when it is lower always has. `apart` asks for
    values whose difference is not written.
    """

    name: str
    direction: MetricDirection
    before: float
    now: float
    spread: float = 0.0
    relative: bool = False
    apart: bool = False

    @property
    def values(self) -> tuple[str, str]:
        """Both values, with as many decimals as the difference calls for."""
        return number(self.before, decimals=self._decimals), number(self.now, decimals=self._decimals)

    def __str__(self) -> str:
        delta = self._shown
        if not delta and self.before != self.now:
            return f"\N{PLUS-MINUS SIGN}{self._written(delta)}"
        if self._is_share and not self.relative:
            return self._written(delta)
        show_relative = (self.direction.better is Better.LOWER or self.relative) and self.before > 0 and self.now > 0
        relative = 100 * (self.now - self.before) / self.before if show_relative and delta else 0.0
        share = f" ({signed(relative, decimals=decimals_for(relative))} %)" if relative else ""
        return f"{self._written(delta)}{share}"

    def bound(self, bound: float) -> str:
        """Write a bound of the difference, with its sign."""
        return self._written(bound, decimals_for(bound))

    def amount(self, amount: float) -> str:
        """Write how large a difference is, without a sign."""
        return self.bound(abs(amount)).removeprefix("+")

    def limit(self, amount: float, *, percent: bool = False) -> str:
        """Write the loss that a rule allows as a difference: -0.2 pp, +5 %."""
        sign = "+" if self.direction.better is Better.LOWER else "\N{MINUS SIGN}"
        if percent:
            return f"{sign}{amount:g} %"
        return f"{sign}{amount * 100:g} pp" if self._is_share else f"{sign}{amount:g} {unit_of(self.name)}".rstrip()

    @cached_property
    def _decimals(self) -> int | None:
        """Two digits of the difference, one more if rounding would show another difference, none finer than chance. Up
        to two more where the values as they are written then differ by the difference as it is rounded.
        """
        exact = abs(self.now - self.before)
        if not exact and not self.spread:
            return None
        decimals = min(decimals_for(exact or self.spread), _MOST_DECIMALS)
        if exact and round(self._between(decimals) - exact, decimals):
            decimals = min(decimals + 1, _MOST_DECIMALS)
        chosen = min(decimals, decimals_for(_WITHIN * self.spread)) if self.spread else decimals
        tried = range(chosen, chosen if self.apart else min(chosen + _MORE, _MOST_DECIMALS) + 1)
        return next((one for one in tried if round(self._between(one), one) == round(exact, one)), chosen)

    def _between(self, decimals: int) -> float:
        return abs(round(self.now, decimals) - round(self.before, decimals))

    @property
    def _shown(self) -> float:
        """The difference of the values as they are written."""
        exact = self.now - self.before
        if self._decimals is None or not (is_plain(self.before) and is_plain(self.now)):
            return exact
        shown = round(self.now, self._decimals) - round(self.before, self._decimals)
        return shown if self.spread else shown or exact

    @cached_property
    def _is_share(self) -> bool:
        return is_in_points(self.name) and 0 <= self.before <= 1 and 0 <= self.now <= 1

    def _written(self, delta: float, decimals: int | None = None) -> str:
        if decimals is None:
            cut = round(delta, _MOST_DECIMALS) or self.spread
            decimals = max(self._decimals or 0, 0) if cut else decimals_for(delta)
        if self._is_share:
            return f"{signed(100 * delta, decimals=max(0, decimals - 2))} pp"
        unit = unit_of(self.name)
        return f"{signed(delta, decimals=decimals)} {unit}".rstrip()
