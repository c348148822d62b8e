"""Write two values of a metric and the difference between them, so that their digits add up: 12.0 → 13.2 is +1.2."""

from dataclasses import dataclass

from .direction import Better, MetricDirection, is_rate, unit_of
from .numbers import decimals_for, is_plain, number, signed

_MOST_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric before and now. `spread` is from run to run: it says how many digits matter if nothing has changed."""

    name: str
    direction: MetricDirection
    before: float
    now: float
    spread: float = 0.0

    @property
    def values(self) -> tuple[str, str]:
        """Both values, with as many decimals as the difference calls for."""
        return number(self.before, decimals=self._decimals), number(self.now, decimals=self._decimals)

    def __str__(self) -> str:
        delta = self._shown
        if self._is_share:
            return self._written(delta)
        show_relative = self.direction.better is Better.LOWER and self.before > 0 and self.now > 0
        relative = 100 * (self.now - self.before) / self.before if show_relative else 0.0
        share = f" ({signed(relative, decimals=decimals_for(relative))} %)" if show_relative else ""
        return f"{self._written(delta)}{share}"

    def bound(self, bound: float) -> str:
        """Write a bound of the difference, with its sign."""
        return self._written(bound, decimals_for(bound))

    def amount(self, amount: float) -> str:
        """Write how large a difference is, without a sign."""
        return self.bound(abs(amount)).removeprefix("+")

    @property
    def _decimals(self) -> int | None:
        spread = abs(self.now - self.before) or self.spread
        return min(decimals_for(spread), _MOST_DECIMALS) if spread else None

    @property
    def _shown(self) -> float:
        """The difference of the values as they are written."""
        exact = self.now - self.before
        if self._decimals is None or not (is_plain(self.before) and is_plain(self.now)):
            return exact
        return round(self.now, self._decimals) - round(self.before, self._decimals) or exact

    @property
    def _is_share(self) -> bool:
        return is_rate(self.name) and 0 <= self.before <= 1 and 0 <= self.now <= 1

    def _written(self, delta: float, decimals: int | None = None) -> str:
        if decimals is None:
            decimals = max(self._decimals or 0, 0) if round(delta, _MOST_DECIMALS) else decimals_for(delta)
        if self._is_share:
            return f"{signed(100 * delta, decimals=max(0, decimals - 2))} pp"
        unit = unit_of(self.name)
        return f"{signed(delta, decimals=decimals)} {unit}".rstrip()
