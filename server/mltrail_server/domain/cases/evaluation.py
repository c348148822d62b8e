"""An evaluation of prompts or agents on both sides: what each scorer said of each case.

Each scorer is a table of cases, compared like any other. What is about all of them together is here: which cases some
scorer broke, what else the two runs say, and why something can't be compared. Texts of clients and models are in here
as they are: whoever shows them has to make them inert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from .comparison import Counts
from .result import CaseResult


class Kind(StrEnum):
    """A scorer's result for a case."""

    PASS_FAIL = "pass or fail"  # noqa: S105 - no password; true or false, yes or no, or a number with a bar
    SCORE = "a number"
    OTHER = "something else"  # shown, not compared


class Change(StrEnum):
    """What became of a case."""

    BROKE = "broke"  # a scorer that passed it in the baseline fails it here
    FIXED = "fixed"  # the other way round, and no scorer broke it
    FAILED = "failed"  # some scorer fails it here, as before, or without a baseline
    PASSED = "passed"
    MISSING = "missing"  # only the baseline has it
    UNJUDGED = "not judged"  # no scorer passes or fails it here


class Mark(NamedTuple):
    """What a scorer said of a case in one trace: its `value` as JSON has it, None if there is none. `passed` is None if
    the value neither passes nor fails. `error` is the code of an error of the scorer, "" if it worked.
    """

    value: object
    passed: bool | None = None
    error: str = ""


class CaseTrace(NamedTuple):
    """A trace in which a case was answered, with the marks that scorers gave it. `failed`: it ended with an error."""

    id: str
    marks: Mapping[str, Mark]
    failed: bool = False


@dataclass(frozen=True, slots=True)
class EvaluatedCase:
    """One case on both sides. `id` is what rules, links and JUnit call it: the same in every run. `label` is a short
    form of it without anything of the case's content: a test's name, or as much of a digest as
    tells it from the evaluation's other cases. `broke`, `fixed` and `failed` (here) name scorers.
    """

    id: str
    label: str
    here: tuple[CaseTrace, ...] = ()
    baseline: tuple[CaseTrace, ...] = ()
    broke: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    passed: bool | None = None  # whether all scorers that pass or fail it here pass it

    @property
    def change(self) -> Change:
        if not self.here:
            return Change.MISSING
        if self.broke:
            return Change.BROKE
        if self.fixed:
            return Change.FIXED
        if self.failed:
            return Change.FAILED
        return Change.UNJUDGED if self.passed is None else Change.PASSED


class Sides(NamedTuple):
    """The same thing here and in the baseline; None where a side has none."""

    here: float | None
    baseline: float | None


class Differs(NamedTuple):
    """What makes a scorer another one than the baseline's: `what` is "scorer" or "judge". The texts are the digests of
    its code, or the judges' models, in a client's words.
    """

    what: str
    here: str
    baseline: str


@dataclass(frozen=True, slots=True)
class ScorerResult:
    """One scorer. `result` is its table of cases, compared: counts, chance, verdict, or the problem that kept it from
    being compared. `values` are the share of cases that pass, or the mean of its numbers, on all cases of each side.
    `errors` are how many cases it could not judge, here and in the baseline, which count as failed.
    """

    name: str
    kind: Kind
    result: CaseResult
    values: Sides
    errors: tuple[int, int] = (0, 0)
    differs: Differs | None = None


@dataclass(frozen=True, slots=True)
class Criterion:
    """A bar that the run here has declared itself: `metric` (such as `correctness/mean`) has to be at least, or at
    most, `threshold`. `value` is what the run has logged, and `before` the baseline's bar for the same metric. `gates`
    is set if the contract accepts such bars.
    """

    metric: str
    at_least: bool
    threshold: float
    value: float | None
    before: float | None = None
    gates: bool = False

    @property
    def kept(self) -> bool:
        """Whether the bar is reached; a value that is not there does not reach it."""
        if self.value is None:
            return False
        return self.value >= self.threshold if self.at_least else self.value <= self.threshold

    @property
    def is_lowered(self) -> bool:
        """Whether the baseline's bar was stricter."""
        if self.before is None:
            return False
        return self.before > self.threshold if self.at_least else self.before < self.threshold


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """An evaluation by its name, which is the contract's, or else the dataset's (`tests` for `@mlflow.test`).

    `candidate` and `baseline` are the runs' numbers, with their MLflow run ids. `cases` are all of them, those here in
    their order and then those that are missing here. `problem` says why nothing could be compared, in words that
    contain nothing a user wrote, and `ours` that this side is the cause. `counts` are about cases: broken by any
    scorer, or fixed; None if no scorer passes or fails cases on both sides. `traces` are latency, tokens and cost by
    the derived metric's name (`traces/cost_total`). `remarks` are sentences that nobody wrote.
    """

    name: str
    candidate: int
    eid: str
    baseline: int | None = None
    baseline_eid: str = ""
    scorers: tuple[ScorerResult, ...] = ()
    cases: tuple[EvaluatedCase, ...] = ()
    counts: Counts | None = None
    problem: str = ""
    ours: bool = False
    traces: Mapping[str, Sides] = field(default_factory=dict)
    criteria: tuple[Criterion, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[EvaluatedCase, ...]:
        return self.that(Change.BROKE)

    @property
    def fixed(self) -> tuple[EvaluatedCase, ...]:
        return self.that(Change.FIXED)

    def that(self, *changes: Change) -> tuple[EvaluatedCase, ...]:
        """Return the cases of which one of these things became."""
        return tuple(one for one in self.cases if one.change in changes)

    def judged(self, results: Sequence[CaseResult]) -> "EvaluationResult":
        """Return it with the verdicts on its scorers' tables, which are found by their names."""
        by_name = {one.name: one for one in results}
        scorers = tuple(replace(one, result=by_name.get(one.result.name, one.result)) for one in self.scorers)
        return replace(self, scorers=scorers)
