"""Find the cases that two tables share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .table import Answer, Case


class NotComparable(StrEnum):
    """Why two tables can't be compared case by case."""

    NO_COMMON_CASES = "no common cases"
    LABELS_DIFFER = "labels differ"


class PairedCase(NamedTuple):
    """A case that both sides answered, at least once each. `cluster` is a case's own name if it has no cluster."""

    id: str
    cluster: str
    label: str | None
    before: tuple[Answer, ...]
    now: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Paired:
    """The cases of two runs, aligned. `missing_before` and `missing_now` count the cases that only the other side has,
    `repeated` those that a side answered more than once, and `relabelled` those whose label is another one now; these
    are not among `cases`.
    """

    cases: tuple[PairedCase, ...]
    missing_before: int = 0
    missing_now: int = 0
    repeated: int = 0
    relabelled: int = 0

    @property
    def not_comparable(self) -> NotComparable | None:
        """A case whose label has changed says that the test set is another one, so nothing is compared then."""
        if self.relabelled:
            return NotComparable.LABELS_DIFFER
        return None if self.cases else NotComparable.NO_COMMON_CASES

    @property
    def clustered(self) -> bool:
        """Whether some cases belong together."""
        return len({one.cluster for one in self.cases}) < len(self.cases)


class AlignedCase(NamedTuple):
    """A case that all of several runs answered; `answers` are in the order of the runs."""

    id: str
    cluster: str
    label: str | None
    answers: tuple[tuple[Answer, ...], ...]


def pair(before: Iterable[Case], now: Iterable[Case]) -> Paired:
    """Align two tables by the cases' ids. The order is that of `now`; clusters are taken from there, too."""
    old, new = _by_id(before), _by_id(now)
    aligned, relabelled = _align([new, old])
    cases = tuple(PairedCase(one.id, one.cluster, one.label, one.answers[1], one.answers[0]) for one in aligned)
    common = len(cases) + relabelled
    repeated = sum(max(len(one.before), len(one.now)) > 1 for one in cases)
    return Paired(cases, len(new) - common, len(old) - common, repeated, relabelled)


def align(tables: Sequence[Iterable[Case]]) -> tuple[AlignedCase, ...]:
    """Return the cases that all of several runs answered. Empty if there are none, or a label differs."""
    aligned, relabelled = _align([_by_id(table) for table in tables])
    return () if relabelled else tuple(aligned)


class _Asked(NamedTuple):
    labels: set[str | None]
    cluster: str | None
    answers: list[Answer]


def _align(tables: Sequence[Mapping[str, _Asked]]) -> tuple[list[AlignedCase], int]:
    """The cases that all tables have, and how many others have labels that differ."""
    cases: list[AlignedCase] = []
    relabelled = 0
    for name, asked in tables[0].items():
        others = [table[name] for table in tables[1:] if name in table]
        if len(others) < len(tables) - 1:
            continue
        if len(asked.labels) > 1 or any(other.labels != asked.labels for other in others):
            relabelled += 1
            continue
        cluster = f"case {name}" if asked.cluster is None else f"cluster {asked.cluster}"
        answers = tuple(tuple(one.answers) for one in (asked, *others))
        cases.append(AlignedCase(name, cluster, next(iter(asked.labels)), answers))
    return cases, relabelled


def _by_id(table: Iterable[Case]) -> dict[str, _Asked]:
    found: dict[str, _Asked] = {}
    for case in table:
        asked = found.get(case.id)
        if asked is None:
            found[case.id] = _Asked({case.label}, case.cluster, [case.answer])
            continue
        asked.labels.add(case.label)
        asked.answers.append(case.answer)
    return found
