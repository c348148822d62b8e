"""An experiment's page beside its table: which runs are drawn and how, and which metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

from mltrail_server.domain.direction import worth_showing
from mltrail_server.services.pages.tables import CandidateRow

from .charts import ChartLine
from .colours import MOST, colour, dashes
from .table_state import State

_MOST_CHARTS = 6
PALETTE = 20
"""How many colours one can choose from for a run."""


@dataclass(frozen=True, slots=True)
class RunMark:
    """How a run is marked on the page. `place` is its colour's in the palette. A run that is not `hidden` is still not
    `drawn` if enough others are before it.
    """

    place: int
    hidden: bool
    drawn: bool
    pinned: bool

    @property
    def colour(self) -> str:
        return colour(self.place)

    @property
    def dash(self) -> tuple[int, ...]:
        return dashes(self.place)


def marks(rows: Sequence[CandidateRow], state: State) -> dict[int, RunMark]:
    """Mark the runs of a page, by number, in its order: pinned ones first."""
    chosen = dict(state.colours)
    found: dict[int, RunMark] = {}
    drawn = 0
    for row in rows:
        iid = row.candidate.iid
        if iid in found:
            continue
        hidden = iid in state.hidden
        draws = not hidden and drawn < state.draw
        drawn += draws
        found[iid] = RunMark(chosen.get(iid, len(found)), hidden, draws, iid in state.pins)
    return found


def lines(rows: Sequence[CandidateRow], marked: dict[int, RunMark]) -> list[ChartLine]:
    """Return the lines of the charts. Those of runs that are not drawn are hidden, so that scripts can show them."""
    names = {row.candidate.iid: row.candidate.name for row in rows}
    return [ChartLine(iid, names[iid], mark.place, not mark.drawn) for iid, mark in marked.items()][:MOST]


def charts(state: State, with_curves: Sequence[str]) -> list[str]:
    """Return the metrics that are drawn: those that were chosen, or those that are worth it."""
    return worth_showing(with_curves, _MOST_CHARTS) if state.charts is None else list(state.charts)
