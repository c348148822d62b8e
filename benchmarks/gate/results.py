"""The counts: kept in a file between runs, checked against what is required, and shown as tables."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .findings import Finding
from .situations import (
    ALL_DROP,
    ONE_DROPS,
    ONE_DROPS_MORE,
    SECTIONS,
    TWO_POINTS,
    Change,
    Section,
    Situation,
    every_cell,
)

ALLOWED = 0.055
"""The largest share of merge requests with nothing changed that may break a tested fail rule."""

REQUIRED = {
    ("three-metrics", ONE_DROPS.name): 0.45,
    ("three-metrics", ONE_DROPS_MORE.name): 0.60,
    ("three-metrics", ALL_DROP.name): 0.80,
    ("eight-runs", ONE_DROPS.name): 0.60,
    ("cases-5", TWO_POINTS.name): 0.80,
}
"""The smallest share of merge requests in which a drop must be seen, by situation and change."""


@dataclass(frozen=True)
class Cell:
    """How often each finding was made in this many merge requests of a situation; `commit` is the code that judged."""

    situation: str
    change: str
    seed: int
    commit: str
    requests: int
    found: Counter[Finding]
    seconds: float = 0.0

    def share(self, finding: Finding) -> float:
        return self.found[finding] / self.requests

    def percent(self, finding: Finding) -> str:
        return f"{self.share(finding):.1%}".replace("%", " %")


@dataclass
class Results:
    """Cells by situation, change and seed. Simulating a cell again replaces the earlier one."""

    cells: dict[tuple[str, str, int], Cell] = field(default_factory=dict)

    @classmethod
    def read(cls, paths: Iterable[Path]) -> "Results":
        results = cls()
        for path in paths:
            for one in json.loads(path.read_text()):
                results.add(Cell(**{**one, "found": Counter({Finding(name): n for name, n in one["found"].items()})}))
        return results

    def add(self, cell: Cell) -> None:
        self.cells[cell.situation, cell.change, cell.seed] = cell

    def write(self, path: Path) -> None:
        kept = [{**vars(cell), "found": dict(sorted(cell.found.items()))} for cell in self.cells.values()]
        path.write_text(json.dumps(kept, indent=1) + "\n")

    def of(self, situation: Situation, change: Change) -> Cell | None:
        """Return a cell, added up over its seeds."""
        cells = [one for key, one in self.cells.items() if key[:2] == (situation.slug, change.name)]
        if not cells:
            return None
        found: Counter[Finding] = sum((one.found for one in cells), Counter())
        requests, seconds = sum(one.requests for one in cells), sum(one.seconds for one in cells)
        return Cell(situation.slug, change.name, cells[0].seed, cells[0].commit, requests, found, seconds)


def broken_promises(results: Results) -> Iterator[str]:
    """Say which cells miss what is required."""
    for situation, change in every_cell():
        cell = results.of(situation, change)
        if cell is None:
            continue
        if change.nothing and cell.share(Finding.BROKEN) > ALLOWED:
            yield f"{situation.name}: {cell.percent(Finding.BROKEN)} break a rule, allowed are {ALLOWED:.1%}"
        least = REQUIRED.get((situation.slug, change.name))
        if least is not None and cell.share(Finding.SEEN) < least:
            yield f"{situation.name}, {change.name}: {cell.percent(Finding.SEEN)} are seen, required are {least:.0%}"


def table(results: Results) -> str:
    """Write a table for each section, after a sentence about what they rest on."""
    unchanged: list[int] = []
    changed: list[int] = []
    for situation, change in every_cell():
        cell = results.of(situation, change)
        if cell is not None:
            (unchanged if change.nothing else changed).append(cell.requests)
    commits = sorted({cell.commit for cell in results.cells.values()})
    made = f"{_range(unchanged)} merge requests per situation with nothing changed, {_range(changed)} with a drop"
    rest = f"{made}; judged by the code of {' and '.join(f'`{one}`' for one in commits)}."
    return "\n\n".join([rest, *(_section(results, section) for section in SECTIONS)])


def _range(requests: Sequence[int]) -> str:
    if not requests:
        return "no"
    low, high = min(requests), max(requests)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _section(results: Results, section: Section) -> str:
    rows = [row for situation in section.situations if (row := _row(results, situation)) is not None]
    titles = ["Situation", "a rule breaks", "better", "can't tell yet", "a drop is seen", "also"]
    if not any(row[-1] for row in rows):
        rows, titles = [row[:-1] for row in rows], titles[:-1]
    align = [":--", "--:", "--:", "--:", ":--", ":--"][: len(titles)]
    lines = [f"| {' | '.join(titles)} |", f"|{'|'.join(align)}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([f"## {section.title}", "", *([section.remark, ""] if section.remark else []), *lines])


def _row(results: Results, situation: Situation) -> list[str] | None:
    cells = {change: cell for change in situation.changes if (cell := results.of(situation, change)) is not None}
    unchanged = next((cell for change, cell in cells.items() if change.nothing), None)
    if unchanged is None:
        return None
    seen = [f"{change.name}: {cell.percent(Finding.SEEN)}" for change, cell in cells.items() if not change.nothing]
    shares = [unchanged.percent(one) for one in (Finding.BROKEN, Finding.BETTER, Finding.UNKNOWN)]
    also = [f"{words} {unchanged.percent(one)}" for one, words in _ALSO.items() if unchanged.found[one]]
    if unchanged.found[Finding.BLOCKED] != unchanged.found[Finding.BROKEN]:
        also.append(f"still broken in the end: {unchanged.percent(Finding.BLOCKED)}")
    return [situation.name, *shares, "; ".join(seen), "; ".join(also)]


_ALSO = {
    Finding.WARNED: "a warn rule breaks:",
    Finding.UNRULED: "a metric without a rule is worse:",
    Finding.DIVERGED: "a run is named as diverged:",
}
