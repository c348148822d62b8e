"""How charts are drawn, all of it in the URL, so that a link shows somebody else the same.

The workspace, a run's charts and the comparison read and write the same names: `axis`, `log`, `smooth`, `zoom`. Scripts
change them in the address as the reader moves a slider; without scripts a form does.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from werkzeug.datastructures import MultiDict

from mltrail_server.store.tracking.histories import CurveAxis

MOST_SMOOTHING = 0.99


@dataclass(frozen=True, slots=True)
class ChartState:
    """`smoothing` is the weight of an exponential moving average, 0 for none. `zoom` is the part of the horizontal axis
    that is shown, in its own unit: steps, or milliseconds since the run's first value.
    """

    axis: CurveAxis = CurveAxis.STEP
    log: bool = False  # of the vertical axis
    smoothing: float = 0.0
    zoom: tuple[float, float] | None = None

    @classmethod
    def read(cls, arguments: MultiDict[str, str], *, axis: CurveAxis = CurveAxis.STEP) -> Self:
        """Read a query string; `axis` is the page's own. What is no such value is left at its default: a damaged link
        shows a chart all the same.
        """
        with suppress(ValueError):
            axis = CurveAxis(arguments.get("axis", axis))
        smoothing = _number(arguments.get("smooth", ""))
        ends = [_number(text) for text in arguments.get("zoom", "").split(",")]
        zoom = (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None
        return cls(
            axis,
            arguments.get("log") == "1",
            min(max(smoothing or 0.0, 0.0), MOST_SMOOTHING),
            zoom if zoom is not None and zoom[0] < zoom[1] else None,
        )

    def pairs(self) -> list[tuple[str, str]]:
        """List the query's names and values, without those that have their default."""
        found = [] if self.axis is CurveAxis.STEP else [("axis", str(self.axis.value))]
        found += [("log", "1")] if self.log else []
        found += [("smooth", f"{self.smoothing:g}")] if self.smoothing else []
        return found + ([("zoom", self.zoom_text)] if self.zoom else [])

    @property
    def zoom_text(self) -> str:
        # A time of day in milliseconds has thirteen digits.
        return ",".join(f"{end:.15g}" for end in self.zoom or ())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
