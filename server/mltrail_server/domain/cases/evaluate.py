"""Compare an evaluation's runs: each scorer as a table of cases, and what became of each case by all of them."""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, takewhile
from statistics import fmean

from mltrail_contract import CaseTable, Evaluation, HigherOrLower, Measure
from mltrail_server.domain import globs
from mltrail_server.domain.comparison import NO_BASELINE
from mltrail_server.domain.direction import Better, direction_by_name

from . import marks, words
from .comparison import Counts
from .evaluation import CaseTrace, Differs, EvaluatedCase, EvaluationResult, Kind, Mark, ScorerResult, Sides
from .result import CaseResult, found
from .table import Answer, Case

TESTS = "tests"
"""The name of the evaluation that `@mlflow.test` makes of all tests of a session."""

SEPARATOR = " · "
"""Between an evaluation's name and a scorer's."""

_MOST_SCORERS = 50
_MOST_OTHERS = 200_000  # marks of further runs, which tell a change from chance
_LABEL = 60
_DIGEST = 6

_WHICH_WAY = "is a higher or a lower number better? Say so in the contract, under `better` in this evaluation"
_NOT_COMPARED = "its values are neither pass/fail nor numbers"
_NOT_HERE = "this scorer judged no case here"
NOT_THERE = "the baseline does not have this scorer"
_OTHER_KIND = "this scorer's values are of another kind than in the baseline"
_OTHER_CODE = "the scorer's code has changed since the baseline"
_OTHER_JUDGE = "the judge model is not the baseline's"
_NO_CODE = "this scorer no longer says which code it runs"
_NO_JUDGE = "no model judges here, but one does in the baseline"


@dataclass(frozen=True, slots=True)
class RunAnswers:
    """What one run's traces say. `cases` are its answers by case, in their order, each trace with what scorers said of
    it; `tests` names those that are tests. `expected` is a digest of what was expected of each case. `digests` and
    `judges` are, by scorer, those of its code and the models that judged. `deleted` traces were deleted by others,
    and `problem` says why a run is not read at all.
    """

    candidate: int
    eid: str
    evaluation: str
    cases: Mapping[str, tuple[CaseTrace, ...]] = field(default_factory=dict)
    tests: frozenset[str] = frozenset()
    expected: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)
    judges: Mapping[str, frozenset[str]] = field(default_factory=dict)
    deleted: int = 0
    problem: str = ""

    @property
    def scorers(self) -> set[str]:
        return {name for traces in self.cases.values() for trace in traces for name in trace.marks}

    def marks(self, scorer: str) -> Iterator[tuple[str, Mark]]:
        """Yield what a scorer said, by case. Where the application failed, it could say nothing, which is a failure."""
        for case, traces in self.cases.items():
            for trace in traces:
                if scorer in trace.marks:
                    yield case, trace.marks[scorer]
                elif trace.failed:
                    yield case, Mark(None, error=marks.NO_ANSWER)


@dataclass(frozen=True, slots=True)
class _Scorer:
    """How a scorer's marks are read."""

    name: str
    kind: Kind
    better: HigherOrLower | None  # None: nobody knows
    bar: float | None

    @property
    def passes(self) -> bool:
        """Whether it passes or fails cases."""
        return self.kind is Kind.PASS_FAIL or (self.kind is Kind.SCORE and self.bar is not None)

    def read(self, mark: Mark) -> Mark:
        return marks.judged(mark, self.kind, bar=self.bar, better=self.better or HigherOrLower.HIGHER)

    def table(self, evaluation: str) -> CaseTable:
        name = f"{evaluation}{SEPARATOR}{self.name}"
        if self.kind is not Kind.SCORE:
            return CaseTable(name, "", "case", label="passed", prediction="passed", given_measure=Measure.ACCURACY)
        better = self.better or HigherOrLower.HIGHER
        return CaseTable(
            name, "", "case", score="mark", threshold=self.bar, better=better, given_measure=Measure.MEAN_SCORE
        )

    def cases(self, run: RunAnswers, worst: float | None) -> list[Case]:
        """Write a run's marks as a table. An error counts as a wrong answer, or as the worst number on either side."""
        rows = []
        for case, raw in run.marks(self.name):
            mark = self.read(raw)
            label = "1" if self.passes else None
            prediction = None if mark.passed is None else str(int(mark.passed))
            score = None
            if self.kind is Kind.SCORE:
                score = worst if mark.error else marks.number_of(mark.value)
            rows.append(Case(case, label, Answer(prediction, score)))
        return rows


def evaluate(
    asked: Evaluation, before: Sequence[RunAnswers], now: Sequence[RunAnswers], *, stated: bool
) -> EvaluationResult:
    """Compare the runs of an evaluation, the named one of each side first; `now` has at least one. `stated` is set if
    the contract asks for it, and not only the runs show it.
    """
    here, there = now[0], before[0] if before else None
    problem, ours = _problem(here, there)
    names = sorted(here.scorers | (there.scorers if there is not None else set()))
    names = [name for name in names if name in globs.matching_any(names, asked.scorers)]
    scorers = [_scorer(asked, name, here, there, stated=stated) for name in names[:_MOST_SCORERS]]
    remarks = () if len(names) <= _MOST_SCORERS else (f"Only {_MOST_SCORERS} of {len(names)} scorers are compared.",)
    results = [
        _compared(asked.name, one, before, now, CaseResult(one.table(asked.name), problem=problem, ours=ours))
        for one in scorers
    ]
    comparable = {one.name for one, result in zip(scorers, results, strict=True) if result.result.compared is not None}
    cases = tuple(_cases(scorers, here, there, comparable))
    counting = any(one.passes and one.name in comparable for one in scorers)
    return EvaluationResult(
        asked.name,
        here.candidate,
        here.eid,
        there.candidate if there is not None else None,
        there.eid if there is not None else "",
        tuple(results),
        cases,
        _counts(cases) if counting else None,
        problem,
        ours,
        remarks=remarks,
    )


def missing(asked: Evaluation, *, before: bool) -> CaseResult:
    """Say that no run here has an evaluation that the contract names; `before`: the baseline has it."""
    problem = "the evaluation was not logged here" if before else "no run has this evaluation"
    table = CaseTable(asked.name, "", "case", label="passed", prediction="passed", given_measure=Measure.ACCURACY)
    return CaseResult(table, problem=problem, ours=before, evaluation=asked.name)


def _problem(here: RunAnswers, there: RunAnswers | None) -> tuple[str, bool]:
    """Say what keeps all scorers from being compared, and whether this side is the cause."""
    if here.problem or here.deleted:
        return here.problem or _deleted(here.deleted, " of this run"), True
    if there is None:
        return NO_BASELINE, False
    if there.problem or there.deleted:
        return f"in the baseline, {there.problem or _deleted(there.deleted)}", False
    common = here.cases.keys() & there.cases.keys()
    other = sum(here.expected.get(case) != there.expected.get(case) for case in common)
    if other:
        return f"the expectations of {words.count(other)} are not the baseline's", True
    return "", False


def _deleted(traces: int, of: str = "") -> str:
    return f"1 trace{of} was deleted" if traces == 1 else f"{traces:,} traces{of} were deleted"


def _scorer(asked: Evaluation, name: str, here: RunAnswers, there: RunAnswers | None, *, stated: bool) -> _Scorer:
    """Find how a scorer is read: by the baseline's marks if there are any, so that odd ones here count as failures."""
    kinds = [marks.kind_of([mark for _, mark in run.marks(name)]) for run in (there, here) if run is not None]
    kind = next((one for one in kinds if one is not None), Kind.PASS_FAIL)
    better = asked.better.get(name)
    if better is None and kind is Kind.SCORE:
        known = direction_by_name(name).better
        if known is not Better.UNKNOWN:
            better = HigherOrLower(known)
        elif stated:
            better = HigherOrLower.HIGHER
    return _Scorer(name, kind, better, asked.pass_at.get(name) if kind is Kind.SCORE else None)


def _compared(
    evaluation: str, one: _Scorer, before: Sequence[RunAnswers], now: Sequence[RunAnswers], given: CaseResult
) -> ScorerResult:
    here, there = now[0], before[0] if before else None
    differs = _differs(one.name, here, there)
    result = given if given.problem else _of_scorer(one, before, now, given.table, differs)
    sides = [_value(one, run) for run in (here, there)]
    errors = [_errors(one, run) for run in (here, there)]
    return ScorerResult(
        one.name,
        one.kind,
        replace(result, evaluation=evaluation, scorer=one.name),
        Sides(*sides),
        (errors[0], errors[1]),
        differs,
    )


def _of_scorer(
    one: _Scorer, before: Sequence[RunAnswers], now: Sequence[RunAnswers], table: CaseTable, differs: Differs | None
) -> CaseResult:
    problem, ours = _problem_of_scorer(one, now[0], before[0], differs)
    if problem:
        return CaseResult(table, problem=problem, ours=ours)
    worst = _worst(one, (now[0], before[0]))
    sides = []
    for runs in (before, now):
        others = runs[1:] if all(one.name in run.scorers for run in runs) else ()
        sides.append([one.cases(run, worst) for run in (runs[0], *others)])
    if sum(map(len, (*sides[0][1:], *sides[1][1:]))) > _MOST_OTHERS:
        sides = [side[:1] for side in sides]
    return found(table, sides[0], sides[1])


def _problem_of_scorer(one: _Scorer, here: RunAnswers, there: RunAnswers, differs: Differs | None) -> tuple[str, bool]:
    """Say what keeps one scorer from being compared, and whether this side is the cause."""
    kinds = {marks.kind_of([mark for _, mark in run.marks(one.name)]) for run in (here, there)} - {None}
    problems = (
        (one.name not in here.scorers, _NOT_HERE, True),
        (one.name not in there.scorers, NOT_THERE, False),
        (differs is not None, _sentence_of(differs), True),
        (len(kinds) > 1, _OTHER_KIND, True),
        (one.kind is Kind.OTHER, _NOT_COMPARED, False),
        (one.kind is Kind.SCORE and one.better is None, _WHICH_WAY, False),
    )
    return next(((sentence, ours) for is_so, sentence, ours in problems if is_so), ("", False))


def _differs(name: str, here: RunAnswers, there: RunAnswers | None) -> Differs | None:
    """Tell whether a scorer's code, or the model that judges, is another one. Older clients say neither, so what the
    baseline does not say is no difference; but not to say any more what the baseline says is no way to pass.
    """
    if there is None:
        return None
    for what, mine, theirs in (("scorer", here.digests, there.digests), ("judge", here.judges, there.judges)):
        now, before = mine.get(name, frozenset()), theirs.get(name, frozenset())
        if before and now != before and name in here.scorers:
            return Differs(what, ", ".join(sorted(now)), ", ".join(sorted(before)))
    return None


def _sentence_of(differs: Differs | None) -> str:
    if differs is None:
        return ""
    if differs.what == "scorer":
        return _OTHER_CODE if differs.here else _NO_CODE
    return _OTHER_JUDGE if differs.here else _NO_JUDGE


def _worst(one: _Scorer, runs: Iterable[RunAnswers]) -> float | None:
    """Return the worst number that a scorer has given on either side."""
    numbers = [marks.number_of(mark.value) for run in runs for _, mark in run.marks(one.name) if not mark.error]
    known = [number for number in numbers if number is not None]
    return (max if one.better is HigherOrLower.LOWER else min)(known, default=None)


def _value(one: _Scorer, run: RunAnswers | None) -> float | None:
    """Return the share of a run's cases that pass, or the mean of its numbers; a case counts once."""
    if run is None or one.kind is Kind.OTHER:
        return None
    by_case: dict[str, list[float]] = {}
    worst = _worst(one, [run])
    for case, raw in run.marks(one.name):
        mark = one.read(raw)
        value = float(bool(mark.passed)) if one.kind is Kind.PASS_FAIL else marks.number_of(mark.value)
        if mark.error and one.kind is Kind.SCORE:
            value = worst
        if value is not None:
            by_case.setdefault(case, []).append(value)
    found_mean = fmean(map(fmean, by_case.values())) if by_case and one.name in run.scorers else math.nan
    return None if math.isnan(found_mean) else found_mean


def _errors(one: _Scorer, run: RunAnswers | None) -> int:
    if run is None or one.name not in run.scorers:
        return 0
    return len({case for case, mark in run.marks(one.name) if one.read(mark).error})


def _cases(
    scorers: Sequence[_Scorer], here: RunAnswers, there: RunAnswers | None, comparable: set[str]
) -> Iterator[EvaluatedCase]:
    """Yield each case: those here in their order, then those that only the baseline has."""
    baseline = there or RunAnswers(0, "", here.evaluation)
    mine, theirs = here.scorers, baseline.scorers
    tests = here.tests | baseline.tests
    passing = [one.name for one in scorers if one.passes]
    for name, label in _labels({**here.cases, **baseline.cases}, tests).items():
        now = _read(scorers, here.cases.get(name, ()), mine)
        before = _read(scorers, baseline.cases.get(name, ()), theirs)
        yield _judged(EvaluatedCase(name, label, now, before), passing, comparable)


def _judged(case: EvaluatedCase, passing: Sequence[str], comparable: set[str]) -> EvaluatedCase:
    """Say which scorers fail a case here, and which of those that can be compared broke or fixed it."""
    now, before = _shares(passing, case.here), _shares(passing, case.baseline)
    # Leaving out a judgement is no way to pass.
    left_out = before.keys() - now.keys() if case.here else set()
    failed = tuple(name for name in passing if name in left_out or now.get(name, 1) < 1)
    both = [name for name in passing if name in comparable and name in now and name in before]
    return replace(
        case,
        broke=tuple(name for name in both if now[name] < before[name]),
        fixed=tuple(name for name in both if now[name] > before[name]),
        failed=failed,
        passed=not failed if now or failed else None,
    )


def _read(scorers: Sequence[_Scorer], traces: Sequence[CaseTrace], known: set[str]) -> tuple[CaseTrace, ...]:
    """Say of each mark whether it passes. A trace that failed has failed by all scorers of its run."""
    return tuple(
        trace._replace(
            marks={
                one.name: one.read(trace.marks.get(one.name) or Mark(None, error=marks.NO_ANSWER))
                for one in scorers
                if one.name in trace.marks or (trace.failed and one.name in known)
            }
        )
        for trace in traces
    )


def _shares(scorers: Iterable[str], traces: Sequence[CaseTrace]) -> dict[str, float]:
    """Return in how many of a case's answers each scorer passes it, without the scorers that have judged none."""
    passed = {name: [bool(one.marks[name].passed) for one in traces if name in one.marks] for name in scorers}
    return {name: fmean(each) for name, each in passed.items() if each}


def _labels(names: Iterable[str], tests: Collection[str]) -> dict[str, str]:
    """Shorten each name: a test's to its last part, a digest to its start, as long as no other digest begins so."""
    digests = sorted(name for name in names if name not in tests and _is_digest(name))
    alike = [0, *(_alike(one, other) for one, other in pairwise(digests)), 0]
    starts = {
        name: name[: max(_DIGEST, before + 1, after + 1)]
        for name, before, after in zip(digests, alike, alike[1:], strict=False)
    }
    return {name: (name.rpartition("::")[2] if name in tests else starts.get(name, name))[:_LABEL] for name in names}


def _alike(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _is_digest(name: str) -> bool:
    return len(name) >= 2 * _DIGEST and not name.strip("0123456789abcdef")


def _counts(cases: Iterable[EvaluatedCase]) -> Counts:
    broke = fixed = right = wrong = 0
    for one in cases:
        if not one.here or not one.baseline or one.passed is None:
            continue
        broke += bool(one.broke)
        fixed += bool(one.fixed and not one.broke)
        unchanged = not one.broke and not one.fixed
        right += unchanged and one.passed
        wrong += unchanged and not one.passed
    return Counts(broke, fixed, right, wrong)
