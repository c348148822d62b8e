"""Find the cases that two tables share."""

from collections.abc import Iterable
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


class _Asked(NamedTuple):
    labels: set[str | None]
    cluster: str | None
    answers: list[Answer]


def pair(before: Iterable[Case], now: Iterable[Case]) -> Paired:
    """Align two tables by the cases' ids. The order is that of `now`; clusters are taken from there, too."""
    old, new = _by_id(before), _by_id(now)
    cases: list[PairedCase] = []
    repeated = relabelled = 0
    for name, asked in new.items():
        earlier = old.get(name)
        if earlier is None:
            continue
        if len(asked.labels | earlier.labels) > 1:
            relabelled += 1
            continue
        repeated += max(len(asked.answers), len(earlier.answers)) > 1
        cluster = f"case {name}" if asked.cluster is None else f"cluster {asked.cluster}"
        label = next(iter(asked.labels))
        cases.append(PairedCase(name, cluster, label, tuple(earlier.answers), tuple(asked.answers)))
    common = len(cases) + relabelled
    return Paired(tuple(cases), len(new) - common, len(old) - common, repeated, relabelled)


def _by_id(table: Iterable[Case]) -> dict[str, _Asked]:
    found: dict[str, _Asked] = {}
    for case in table:
        asked = found.setdefault(case.id, _Asked(set(), case.cluster, []))
        asked.labels.add(case.label)
        asked.answers.append(case.answer)
    return found
