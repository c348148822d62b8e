"""Evaluations made of plain marks, without traces: for tests of what a note says, and for pictures of notes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import CaseTable
from mltrail_server.domain.cases import result
from mltrail_server.domain.cases.comparison import Counts
from mltrail_server.domain.cases.evaluation import (
    CaseTrace,
    Criterion,
    Differs,
    EvaluatedCase,
    EvaluationResult,
    Kind,
    Mark,
    ScorerResult,
    Sides,
)
from mltrail_server.domain.cases.result import CaseResult
from mltrail_server.domain.cases.table import Answer, Case

Marks = Sequence[bool | float]


@dataclass
class Scored:
    """What a scorer said of each case, in their order. A side without marks has not been evaluated."""

    now: Marks
    before: Marks
    errors: tuple[int, int] = (0, 0)
    differs: Differs | None = None
    problem: str = ""

    @property
    def is_pass_or_fail(self) -> bool:
        return all(isinstance(one, bool) for one in (*self.now, *self.before))


@dataclass
class Evaluated:
    """An evaluation on both sides; cases have ids made of their place unless `ids` names them."""

    scorers: Mapping[str, Scored]
    name: str = "golden-set"
    ids: Sequence[str] = ()
    labels: Sequence[str] = ()
    problem: str = ""
    criteria: Sequence[Criterion] = ()
    traces: Mapping[str, Sides] = field(default_factory=dict)
    remarks: Sequence[str] = ()

    def case(self, place: int) -> tuple[str, str]:
        """Return the id and the label of a case."""
        digest = hashlib.sha256(str(place).encode()).hexdigest()
        case_id = self.ids[place] if self.ids else digest
        return case_id, self.labels[place] if self.labels else f"#{place + 1} ({case_id[:6]})"

    def result(self, candidate: int, baseline: int | None) -> EvaluationResult:
        first = next(iter(self.scorers.values()))
        here, there = len(first.now), len(first.before)
        cases = tuple(self._case(place) for place in range(max(here, there)))
        judged = [one for one in self.scorers.values() if one.is_pass_or_fail]
        broke, fixed = (
            sum(bool(getattr(case, what)) for case in cases if what == "broke" or not case.broke)
            for what in ("broke", "fixed")
        )
        wrong = sum(bool(case.failed) and not case.broke and not case.fixed for case in cases)
        compared = min(here, there)
        counts = Counts(broke, fixed, compared - broke - fixed - wrong, wrong)
        return EvaluationResult(
            self.name,
            candidate,
            "eid",
            baseline,
            "baseline-eid" if baseline is not None else "",
            tuple(self._scorer(name, one) for name, one in self.scorers.items()),
            cases,
            counts if judged and compared and not self.problem else None,
            self.problem,
            traces=self.traces,
            criteria=tuple(self.criteria),
            remarks=tuple(self.remarks),
        )

    def _case(self, place: int) -> EvaluatedCase:
        case_id, label = self.case(place)
        judged = {name: one for name, one in self.scorers.items() if one.is_pass_or_fail}
        before = {name: bool(one.before[place]) for name, one in judged.items() if place < len(one.before)}
        now = {name: bool(one.now[place]) for name, one in judged.items() if place < len(one.now)}
        compared = {name for name in before.keys() & now.keys() if not judged[name].differs}
        return EvaluatedCase(
            case_id,
            label,
            (CaseTrace("tr-1", {name: Mark(one, one) for name, one in now.items()}),) if now else (),
            (CaseTrace("tr-2", {name: Mark(one, one) for name, one in before.items()}),) if before else (),
            tuple(sorted(name for name in compared if before[name] and not now[name])),
            tuple(sorted(name for name in compared if now[name] and not before[name])),
            tuple(sorted(name for name, passed in now.items() if not passed)),
            all(now.values()) if now else None,
        )

    def _scorer(self, name: str, one: Scored) -> ScorerResult:
        kind = Kind.PASS_FAIL if one.is_pass_or_fail else Kind.SCORE
        means = Sides(*(sum(map(float, side)) / len(side) if side else None for side in (one.now, one.before)))
        return ScorerResult(name, kind, self._compared(name, one), means, one.errors, one.differs)

    def _compared(self, name: str, one: Scored) -> CaseResult:
        title = f"{self.name} · {name}"
        if one.is_pass_or_fail:
            table = CaseTable(title, "", "", label="label", prediction="prediction")
        else:
            table = CaseTable(title, "", "", score="score")
        problem = one.problem or self.problem
        if problem:
            return CaseResult(table, problem=problem, ours=True, evaluation=self.name, scorer=name)
        sides = ([[self._row(place, mark) for place, mark in enumerate(side)]] for side in (one.before, one.now))
        return replace(result.found(table, *sides), evaluation=self.name, scorer=name)

    def _row(self, place: int, mark: float) -> Case:
        if isinstance(mark, bool):
            return Case(self.case(place)[0], "1", Answer(str(int(mark))))
        return Case(self.case(place)[0], None, Answer(score=mark))


def marks(count: int, *, wrong: Sequence[int]) -> list[bool]:
    """Pass all cases except some."""
    missed = set(wrong)
    return [place not in missed for place in range(count)]
