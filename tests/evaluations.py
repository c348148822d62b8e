"""Evaluations made of plain marks, without traces: for tests of what a note says, and for pictures of notes."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mltrail_contract import Evaluation, Model
from mltrail_server.domain.cases import evaluate
from mltrail_server.domain.cases.evaluate import RunAnswers
from mltrail_server.domain.cases.evaluation import CaseTrace, Criterion, EvaluationResult, Mark, Sides

Marks = Sequence[object]
"""What a scorer said of each case, in their order; an exception is an error of the scorer."""


@dataclass
class Scored:
    """A scorer on both sides. A side without marks has not been evaluated; `judges` and `digests` are those of both
    sides, this one first.
    """

    now: Marks
    before: Marks
    judges: tuple[str, str] = ("", "")
    digests: tuple[str, str] = ("", "")


@dataclass
class Evaluated:
    """An evaluation on both sides; cases have ids made of their place unless `ids` names them."""

    scorers: Mapping[str, Scored]
    name: str = "golden-set"
    ids: Sequence[str] = ()
    are_tests: bool = False
    criteria: Sequence[Criterion] = ()
    traces: Mapping[str, Sides] = field(default_factory=dict)

    def result(self, model: Model, here: int, baseline: int | None) -> EvaluationResult:
        """Compare both sides as the model's part of the contract asks for it."""
        asked = model.evaluations.get(self.name) or Evaluation(self.name, self.name)
        before = [self._answers(baseline, 1)] if baseline is not None else []
        found = evaluate.evaluate(asked, before, [self._answers(here, 0)], stated=self.name in model.evaluations)
        return replace(found, criteria=tuple(self.criteria), traces=self.traces)

    def case(self, place: int) -> str:
        """Return the id of a case."""
        return self.ids[place] if self.ids else hashlib.sha256(str(place).encode()).hexdigest()

    def _answers(self, candidate: int, side: int) -> RunAnswers:
        marks = {name: (one.now, one.before)[side] for name, one in self.scorers.items()}
        cases = {
            self.case(place): (
                CaseTrace(
                    f"tr-{candidate}-{place}",
                    {name: _mark(said[place]) for name, said in marks.items() if place < len(said)},
                ),
            )
            for place in range(max(map(len, marks.values())))
        }
        return RunAnswers(
            candidate,
            f"eid-{candidate}",
            self.name,
            cases,
            frozenset(cases) if self.are_tests else frozenset(),
            digests=_known({name: one.digests[side] for name, one in self.scorers.items()}),
            judges=_known({name: one.judges[side] for name, one in self.scorers.items()}),
        )


def _mark(said: object) -> Mark:
    return Mark(None, error=type(said).__name__) if isinstance(said, Exception) else Mark(said)


def _known(by_scorer: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {name: frozenset({one}) for name, one in by_scorer.items() if one}


def marks(count: int, *, wrong: Sequence[int]) -> list[bool]:
    """Pass all cases except some."""
    missed = set(wrong)
    return [place not in missed for place in range(count)]
